#!/usr/bin/env python3
"""made_up_traffic.py INTERFACE SECONDS - sends what a small home might, for screenshots.

It sends on a raw socket, so it needs root; use it inside a network namespace.
"""

import itertools
import math
import random
import socket
import struct
import sys
import time

# Hosts of the synthetic history; the first ones are the busiest.
LOCAL = [4, 10, 5, 25, 12, 46, 11, 20, 41, 22, *range(26, 40)]
REMOTE = [
    (142, 250, 74, 46),
    (1, 1, 1, 1),
    (151, 101, 1, 69),
    (104, 16, 132, 229),
    (17, 253, 144, 10),
    (52, 94, 236, 248),
    (185, 60, 216, 35),
    *((198, 51, 100, last) for last in range(10, 30)),
]


def weights(hosts):
    """The first is used most, the second half as much, and so on."""
    return list(itertools.accumulate(1 / (place + 1) for place in range(len(hosts))))


LOCAL_WEIGHTS, REMOTE_WEIGHTS = weights(LOCAL), weights(REMOTE)
TCP, UDP, ICMP = 6, 17, 1


def checksum(header):
    total = sum(struct.unpack(f">{len(header) // 2}H", header))
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


def frame(source, destination, protocol, ports, size):
    if protocol == TCP:
        number = random.getrandbits(31)
        segment = struct.pack(">HHIIBBHHH", *ports, number, 0, 0x50, 0x10, 1000, 0, 0)
    elif protocol == UDP:
        segment = struct.pack(">HHHH", *ports, 8 + size, 0)
    else:
        segment = struct.pack(">BBHHH", 8, 0, 0, 1, 1)
    segment += bytes(size)
    ip = struct.pack(
        ">BBHHHBBH4s4s",
        *(0x45, 0, 20 + len(segment), random.getrandbits(16), 0, 64, protocol, 0),
        *(bytes(source), bytes(destination)),
    )
    ip = ip[:10] + struct.pack(">H", checksum(ip)) + ip[12:]
    return mac(destination) + mac(source) + b"\x08\x00" + ip + segment


def mac(address):
    # As in the synthetic history; remote addresses have the router's.
    is_local = address[:2] == (192, 168)
    return bytes([2, 0, 0, 0, 0, address[3]]) if is_local else b"\x02\x00\x00\x00\x00\x01"


def one():
    """A frame of one of the usual kinds."""
    local = (192, 168, 1, random.choices(LOCAL, cum_weights=LOCAL_WEIGHTS)[0])
    remote = random.choices(REMOTE, cum_weights=REMOTE_WEIGHTS)[0]
    kind = random.random()
    if kind < 0.5:
        return frame(remote, local, TCP, (443, 50_000), random.randint(800, 1_400))
    if kind < 0.55:
        return frame(remote, local, TCP, (80, 50_000), random.randint(800, 1_400))
    if kind < 0.7:
        return frame(local, remote, TCP, (50_000, 443), random.randint(40, 900))
    if kind < 0.9:
        return frame(remote, local, UDP, (443, 51_000), 1_200)
    if kind < 0.97:
        return frame(local, (192, 168, 1, 1), UDP, (40_000, 53), 50)
    return frame(local, (192, 168, 1, random.choice(LOCAL)), ICMP, (0, 0), 60)


def main():
    interface, seconds = sys.argv[1], float(sys.argv[2])
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    out.bind((interface, 0))
    begin = time.monotonic()
    # A slow swell, some noise, and now and then a page load.
    unrest, page = 0.0, 0.0
    while (now := time.monotonic() - begin) < seconds:
        unrest = 0.95 * unrest + random.gauss(0, 4)
        page = 0.9 * page + (random.uniform(30, 150) if random.random() < 0.02 else 0)
        for _ in range(max(2, int(40 + 15 * math.sin(now / 40) + unrest + page))):
            out.send(one())
        time.sleep(0.1)


main()
