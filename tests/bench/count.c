/* count: the bare lower bound, live (cc -O2 -o count count.c -lpcap; count INTERFACE).
 * A pcap_loop that counts frames and bytes, with brightstat's default ring, snap length, block
 * time and (empty) filter. Prints "received dropped" at SIGTERM. */
#include <pcap/pcap.h>
#include <signal.h>
#include <stdio.h>

static pcap_t *capture;
static unsigned long long frames, bytes;

static void frame(u_char *user, const struct pcap_pkthdr *header, const u_char *data)
{
    (void)user, (void)data;
    frames++;
    bytes += header->len;
}

static void stop(int signal)
{
    (void)signal;
    pcap_breakloop(capture);
}

int main(int argc, char **argv)
{
    char error[PCAP_ERRBUF_SIZE];
    struct bpf_program filter;
    struct pcap_stat stat;
    if (argc != 2 || !(capture = pcap_create(argv[1], error)))
        return 64;
    pcap_set_snaplen(capture, 128);
    pcap_set_buffer_size(capture, 8 << 20);
    pcap_set_timeout(capture, 250);
    pcap_set_promisc(capture, 1);
    if (pcap_activate(capture) < 0 || pcap_compile(capture, &filter, "", 1, 0) < 0
        || pcap_setfilter(capture, &filter) < 0) {
        pcap_perror(capture, argv[1]);
        return 74;
    }
    signal(SIGTERM, stop);
    fprintf(stderr, "capturing\n");
    pcap_loop(capture, -1, frame, NULL);
    pcap_stats(capture, &stat);
    printf("%llu %u\n", frames, stat.ps_drop);
    return 0;
}
