/* replay INTERFACE FILE - sends every frame of a capture file from an interface, as fast as
 * that accepts them. Built for the machine that tests/boot/run.py boots. */
#include <pcap/pcap.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char error[PCAP_ERRBUF_SIZE];
	struct pcap_pkthdr *header;
	const u_char *frame;
	unsigned long sent = 0;
	pcap_t *file, *out;

	if (argc != 3) {
		fprintf(stderr, "usage: replay INTERFACE FILE\n");
		return 64;
	}
	file = pcap_open_offline(argv[2], error);
	out = file ? pcap_open_live(argv[1], 64, 0, 100, error) : NULL;
	if (!out) {
		fprintf(stderr, "replay: %s\n", error);
		return 66;
	}
	while (pcap_next_ex(file, &header, &frame) == 1) {
		if (pcap_inject(out, frame, header->caplen) < 0) {
			fprintf(stderr, "replay: frame %lu: %s\n", sent + 1, pcap_geterr(out));
			return 74;
		}
		sent++;
		/* The emulated machine is slow, and no frame may be lost. */
		if (sent % 100 == 0)
			usleep(20000);
	}
	printf("sent %lu\n", sent);
	return 0;
}
