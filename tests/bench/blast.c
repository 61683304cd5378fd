/* blast: sends the frames of a pcap file on an interface at a steady rate, in a loop
 * (cc -O2 -o blast blast.c -lpcap).
 *
 *   blast INTERFACE FILE RATE COUNT
 *
 * RATE is in frames a second. If the file has only the beginning of a frame, it is padded with
 * zeros to its length on the wire. Frames for which the interface's queue has no room are sent
 * again. Prints how many frames the kernel accepted. */
#define _GNU_SOURCE
#include <errno.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Frames per call: several, because each call costs; few, because bursts fill rings. */
enum { BATCH = 32 };

static struct iovec *frames;
static size_t total;

static int fail(const char *what)
{
	perror(what);
	return 71;
}

/* Reads all frames, in their length on the wire. */
static int read_frames(const char *path)
{
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *file = pcap_open_offline(path, error);
	struct pcap_pkthdr *header;
	const u_char *bytes;
	size_t room = 0;

	if (!file) {
		fprintf(stderr, "blast: %s\n", error);
		return 66;
	}
	while (pcap_next_ex(file, &header, &bytes) == 1) {
		struct iovec *frame;

		if (total == room) {
			room = room ? 2 * room : 1024;
			frames = realloc(frames, room * sizeof *frames);
			if (!frames)
				return fail("blast");
		}
		frame = &frames[total++];
		frame->iov_len = header->len;
		frame->iov_base = calloc(1, header->len);
		if (!frame->iov_base)
			return fail("blast");
		memcpy(frame->iov_base, bytes, header->caplen < header->len ? header->caplen : header->len);
	}
	pcap_close(file);
	return total ? 0 : 66;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	struct sockaddr_ll end = {.sll_family = AF_PACKET};
	unsigned long long sent = 0, count;
	struct mmsghdr batch[BATCH];
	double rate, begin;
	int out, status;

	if (argc != 5) {
		fprintf(stderr, "usage: blast INTERFACE FILE RATE COUNT\n");
		return 64;
	}
	rate = strtod(argv[3], NULL);
	count = strtoull(argv[4], NULL, 10);
	status = read_frames(argv[2]);
	if (status)
		return status;
	/* Protocol 0: nothing is received. */
	out = socket(AF_PACKET, SOCK_RAW, 0);
	end.sll_ifindex = if_nametoindex(argv[1]);
	if (out < 0 || !end.sll_ifindex || bind(out, (struct sockaddr *)&end, sizeof end))
		return fail(argv[1]);
	begin = now();
	while (sent < count) {
		unsigned long long due = (unsigned long long)((now() - begin) * rate) + 1;
		int size = 0, taken;

		if (sent >= due) {
			usleep(50);
			continue;
		}
		memset(batch, 0, sizeof batch);
		while (size < BATCH && sent + size < due && sent + size < count) {
			batch[size].msg_hdr.msg_iov = &frames[(sent + size) % total];
			batch[size].msg_hdr.msg_iovlen = 1;
			size++;
		}
		taken = sendmmsg(out, batch, size, 0);
		if (taken > 0)
			sent += taken;
		else if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
			return fail("blast");
	}
	printf("%llu\n", sent);
	return 0;
}
