/* nonap: darkstat without its nap (cc -shared -fPIC -O2 -o nonap.so nonap.c -ldl; LD_PRELOAD it).
 * darkstat on Linux does not wait for frames: its main loop sleeps in select() for up to
 * 500 ms, then drains the ring. Here select() also watches the capture's descriptor. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pcap/pcap.h>
#include <sys/select.h>

static int capture = -1;

int pcap_setfilter(pcap_t *p, struct bpf_program *program)
{
    int (*real)(pcap_t *, struct bpf_program *) = dlsym(RTLD_NEXT, "pcap_setfilter");
    capture = pcap_get_selectable_fd(p);
    return real(p, program);
}

int pcap_setnonblock(pcap_t *p, int on, char *error)
{
    int (*real)(pcap_t *, int, char *) = dlsym(RTLD_NEXT, "pcap_setnonblock");
    capture = pcap_get_selectable_fd(p);
    return real(p, on, error);
}

int select(int n, fd_set *readable, fd_set *writable, fd_set *odd, struct timeval *timeout)
{
    static int (*real)(int, fd_set *, fd_set *, fd_set *, struct timeval *);
    if (!real)
        real = dlsym(RTLD_NEXT, "select");
    if (capture < 0 || !readable)
        return real(n, readable, writable, odd, timeout);
    FD_SET(capture, readable);
    int ready = real(n > capture ? n : capture + 1, readable, writable, odd, timeout);
    if (ready > 0 && FD_ISSET(capture, readable)) {
        FD_CLR(capture, readable);
        ready--;
    }
    return ready;
}
