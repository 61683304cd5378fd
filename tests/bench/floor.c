/* floor: the lower bound for reading a file (cc -O2 -o floor floor.c -lpcap; floor FILE): a
 * pcap_loop that only counts frames and bytes. */
#include <pcap/pcap.h>
#include <stdio.h>

static unsigned long long frames, bytes;

static void count(u_char *user, const struct pcap_pkthdr *header, const u_char *data)
{
	(void)user, (void)data;
	frames++;
	bytes += header->len;
}

int main(int argc, char **argv)
{
	char error[PCAP_ERRBUF_SIZE] = "usage: floor FILE";
	pcap_t *file = argc == 2 ? pcap_open_offline(argv[1], error) : NULL;

	if (!file || pcap_loop(file, -1, count, NULL) < 0) {
		fprintf(stderr, "floor: %s\n", file ? pcap_geterr(file) : error);
		return 66;
	}
	printf("%llu %llu\n", frames, bytes);
	return 0;
}
