/* traffic: synthetic traffic as a pcap file, for the benchmark (cc -O2 -o traffic traffic.c -lm).
 *
 *   traffic PROFILE FRAMES FILE [LENGTH]
 *
 * The same arguments give the same bytes. Frames are cut to 128 bytes; their headers keep the
 * length on the wire. LENGTH sets that of all frames.
 *
 *   home    200 hosts: a local network and its remote peers; 1,000 conversations, few of them
 *           busy (Zipf), as in a home
 *   busy    50,000 hosts, 200,000 conversations, all alike: caching flows does not help
 *   scan    every other frame a SYN of 60 bytes to the next address of 10.0.0.0/8, amid home
 *   h1000, h10000   exactly that many hosts
 *
 * Of 100 frames 60 are TCP, 20 UDP, 3 ICMP, 1 another protocol on IPv4; 8 TCP, 4 UDP, 1 ICMPv6
 * on IPv6; 2 IPv4 with a VLAN tag; 1 ARP. 45 % of them have 64 to 90 bytes, 15 % up to 600, the
 * others 1,400 to 1,514: many acknowledgements, some small messages, many full segments. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SNAP = 128 };
enum { ICMP = 1, IGMP = 2, TCP = 6, UDP = 17, GRE = 47, ESP = 50, ICMPV6 = 58 };

struct profile {
	const char *name;
	/* Hosts: local and remote, IPv4 and IPv6. */
	int local, remote, local6, remote6;
	/* Conversations; one in seven is IPv6. */
	int flows;
	/* The exponent of Zipf's law: how much their shares differ; 0 for equal shares. */
	double skew;
	int is_scan;
};

static const struct profile PROFILES[] = {
	{"home", 20, 130, 10, 40, 1000, 0.9, 0},
	{"busy", 2000, 40000, 1000, 7000, 200000, 0, 0},
	{"scan", 20, 130, 10, 40, 1000, 0.9, 1},
	{"h1000", 50, 650, 50, 250, 5000, 0, 0},
	{"h10000", 500, 6500, 500, 2500, 40000, 0, 0},
};

struct flow {
	/* Numbers of the local and the remote host, within their address family. */
	int here, there;
	uint16_t client, service;
};

struct pool {
	struct flow *flows;
	/* Cumulative weights, to choose by. */
	double *sums;
	int count;
};

/* xorshift64* (Marsaglia 2003; Vigna 2016). */
static uint64_t state = 0x9e3779b97f4a7c15u;

static uint32_t any(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (uint32_t)(state * 0x2545f4914f6cdd1du >> 32);
}

static int below(int limit)
{
	return (int)((uint64_t)any() * limit >> 32);
}

static int between(int least, int most)
{
	return least + below(most - least + 1);
}

static void put16(uint8_t *at, unsigned value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value & 0xffff);
}

/* One of `count` hosts, by Zipf's law: the first ones are in most conversations. Without skew,
 * every host is in at least one conversation. */
static int choose_host(int count, double skew, int number)
{
	if (skew == 0)
		return number < count ? number : below(count);
	return (int)(pow(count + 1.0, (any() + 0.5) / 4294967296.0)) - 1;
}

static void make_pool(struct pool *pool, int count, int local, int remote, double skew)
{
	static const uint16_t COMMON[] = {443, 443, 443, 80, 80, 53, 123, 22, 993, 587, 445, 554,
		1194, 1883, 3478, 5353, 8080, 8443};
	double sum = 0;
	int number;

	pool->count = count;
	pool->flows = calloc(count, sizeof *pool->flows);
	pool->sums = calloc(count, sizeof *pool->sums);
	if (!pool->flows || !pool->sums)
		exit(71);
	for (number = 0; number < count; number++) {
		struct flow *flow = &pool->flows[number];

		flow->here = number < local ? number : choose_host(local, skew, number);
		flow->there = number < remote ? number : choose_host(remote, skew, number);
		flow->client = between(32768, 60999);
		/* Some use a high port on both ends. */
		flow->service = below(100) < 8 ? between(32768, 60999)
			: COMMON[below(sizeof COMMON / sizeof *COMMON)];
		sum += skew == 0 ? 1 : pow(number + 1, -skew);
		pool->sums[number] = sum;
	}
}

static const struct flow *choose_flow(const struct pool *pool)
{
	double wanted = (any() + 0.5) / 4294967296.0 * pool->sums[pool->count - 1];
	int low = 0, high = pool->count - 1;

	while (low < high) {
		int middle = (low + high) / 2;

		if (pool->sums[middle] < wanted)
			low = middle + 1;
		else
			high = middle;
	}
	return &pool->flows[low];
}

/* Addresses: local ones in 10.1.0.0/16 or, for few hosts, 192.168.1.0/24; remote ones scattered,
 * stable per number, and distinct (a bijection of the numbers below 2^24). */
static void address4(uint8_t *at, int number, int is_local, int is_small)
{
	if (is_local)
		put32(at, (is_small ? 0xc0a8010a : 0x0a010001) + (uint32_t)number);
	else
		put32(at, 0x0b000000 + ((uint32_t)number * 0x9e3779b1u & 0xffffff) * 7);
}

static void address6(uint8_t *at, int number, int is_local)
{
	put32(at, is_local ? 0x20010db8 : 0x2a001450);
	put32(at + 4, is_local ? 1 : (uint32_t)number * 0x9e3779b1u);
	put32(at + 8, is_local ? 0x021122ff : 0);
	put32(at + 12, is_local ? 0xfe000000u + number : (uint32_t)number + 1);
}

static void checksum4(uint8_t *header)
{
	uint32_t sum = 0;
	int at;

	put16(header + 10, 0);
	for (at = 0; at < 20; at += 2)
		sum += header[at] << 8 | header[at + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	put16(header + 10, ~(sum + (sum >> 16)) & 0xffff);
}

static unsigned any_length(void)
{
	int kind = below(100);

	return kind < 45 ? between(64, 90) : kind < 60 ? between(91, 600) : between(1400, 1514);
}

/* Writes a header of TCP, UDP or ICMP; the rest stays zero. */
static void transport(uint8_t *at, int protocol, unsigned from, unsigned to, unsigned length)
{
	static const uint8_t FLAGS[] = {0x18, 0x10, 0x02, 0x12, 0x11, 0x04};
	int kind = below(1000);

	if (protocol == TCP || protocol == UDP) {
		put16(at, from);
		put16(at + 2, to);
	}
	if (protocol == TCP) {
		put32(at + 4, any());
		put32(at + 8, any());
		at[12] = 0x50;
		/* Of a thousand: 500 push, 450 acknowledge, 20 open, 20 answer, 5 close, 5 reset. */
		at[13] = FLAGS[kind < 500 ? 0 : kind < 950 ? 1 : kind < 970 ? 2 : kind < 990 ? 3 : kind < 995 ? 4 : 5];
		put16(at + 14, 0xfaf0);
	} else if (protocol == UDP) {
		put16(at + 4, length);
	} else if (protocol == ICMP) {
		at[0] = 8;
	} else if (protocol == ICMPV6) {
		at[0] = 128;
	}
}

static void write_record(FILE *out, unsigned number, const uint8_t *frame, unsigned length)
{
	uint64_t time = 1700000000000000u + (uint64_t)number * 100;
	uint32_t header[4] = {time / 1000000, time % 1000000, length < SNAP ? length : SNAP, length};

	fwrite(header, sizeof header, 1, out);
	fwrite(frame, header[2], 1, out);
}

/* Builds one frame of the mixture; returns its length. */
static unsigned mixture(uint8_t *frame, const struct profile *profile, const struct pool *v4,
	const struct pool *v6, unsigned fixed)
{
	static const uint8_t OTHER[] = {GRE, ESP, IGMP};
	int kind = below(100), is_small = profile->local <= 200;
	int is_tagged = kind >= 97 && kind < 99, is_v6 = kind >= 84 && kind < 97;
	int is_out = below(2), protocol;
	const struct flow *flow = choose_flow(is_v6 ? v6 : v4);
	unsigned length = fixed ? fixed : any_length(), least;
	uint8_t *ip = frame + 14, *at;

	memset(frame, 0, SNAP);
	/* All frames go to the router or come from it. */
	put32(frame + (is_out ? 0 : 6), 0x02fe0000);
	put16(frame + (is_out ? 4 : 10), 1);
	put32(frame + (is_out ? 6 : 0), 0x02000000);
	put16(frame + (is_out ? 10 : 4), flow->here);
	if (kind == 99) {
		static const uint8_t ARP[] = {8, 6, 0, 1, 8, 0, 6, 4, 0, 1};

		memcpy(frame + 12, ARP, sizeof ARP);
		return fixed ? fixed : 60;
	}
	if (kind < 60 || is_tagged)
		protocol = is_tagged && below(2) ? UDP : TCP;
	else
		protocol = kind < 80 ? UDP : kind < 83 ? ICMP : OTHER[below(3)];
	if (is_v6)
		protocol = kind < 92 ? TCP : kind < 96 ? UDP : ICMPV6;
	if (is_tagged) {
		put32(frame + 12, 0x8100000a);
		ip += 4;
	}
	put16(ip - 2, is_v6 ? 0x86dd : 0x0800);
	least = (unsigned)(ip - frame) + (is_v6 ? 40 : 20) + (protocol == TCP ? 20 : 8);
	if (length < least)
		length = least;
	if (is_v6) {
		at = ip + 40;
		put32(ip, 0x60000000);
		put16(ip + 4, length - (unsigned)(at - frame));
		ip[6] = protocol;
		ip[7] = 64;
		address6(ip + (is_out ? 8 : 24), flow->here, 1);
		address6(ip + (is_out ? 24 : 8), flow->there, 0);
	} else {
		at = ip + 20;
		ip[0] = 0x45;
		put16(ip + 2, length - (unsigned)(ip - frame));
		put16(ip + 4, any() & 0xffff);
		ip[8] = 64;
		ip[9] = protocol;
		address4(ip + (is_out ? 12 : 16), flow->here, 1, is_small);
		address4(ip + (is_out ? 16 : 12), flow->there, 0, is_small);
		checksum4(ip);
	}
	transport(at, protocol, is_out ? flow->client : flow->service,
		is_out ? flow->service : flow->client, length - (unsigned)(at - frame));
	return length;
}

/* The first segment of a scan: from one host to an address not seen before. */
static unsigned probe(uint8_t *frame, unsigned number, unsigned fixed)
{
	uint8_t *ip = frame + 14;

	memset(frame, 0, SNAP);
	put16(frame + 4, 1);
	put32(frame + 6, 0x02fe0000);
	put16(frame + 10, 1);
	put16(frame + 12, 0x0800);
	ip[0] = 0x45;
	put16(ip + 2, 40);
	put16(ip + 4, any() & 0xffff);
	ip[8] = 64;
	ip[9] = TCP;
	put32(ip + 12, 0xcb007107);
	put32(ip + 16, 0x0a000000 + (number & 0xffffff));
	checksum4(ip);
	put16(ip + 20, between(32768, 60999));
	put16(ip + 22, 443);
	put32(ip + 24, any());
	ip[32] = 0x50;
	ip[33] = 0x02;
	return fixed ? fixed : 60;
}

int main(int argc, char **argv)
{
	const uint32_t header[6] = {0xa1b2c3d4, 4u << 16 | 2, 0, 0, 262144, 1};
	const struct profile *profile = NULL;
	struct pool v4, v6;
	unsigned frames, number, fixed, probes = 0;
	uint8_t frame[SNAP];
	FILE *out;
	size_t at;

	for (at = 0; argc >= 4 && at < sizeof PROFILES / sizeof *PROFILES; at++)
		if (strcmp(PROFILES[at].name, argv[1]) == 0)
			profile = &PROFILES[at];
	if (!profile || argc > 5) {
		fprintf(stderr, "usage: traffic home|busy|scan|h1000|h10000 FRAMES FILE [LENGTH]\n");
		return 64;
	}
	frames = strtoul(argv[2], NULL, 10);
	fixed = argc > 4 ? strtoul(argv[4], NULL, 10) : 0;
	out = fopen(argv[3], "wb");
	if (!out) {
		perror(argv[3]);
		return 73;
	}
	make_pool(&v6, profile->flows / 7, profile->local6, profile->remote6, profile->skew);
	make_pool(&v4, profile->flows - v6.count, profile->local, profile->remote, profile->skew);
	fwrite(header, sizeof header, 1, out);
	for (number = 0; number < frames; number++) {
		unsigned length = profile->is_scan && number % 2 ? probe(frame, probes++, fixed)
			: mixture(frame, profile, &v4, &v6, fixed);

		write_record(out, number, frame, length);
	}
	if (fclose(out)) {
		perror(argv[3]);
		return 74;
	}
	return 0;
}
