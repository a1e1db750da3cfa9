/* Common parts of the generator's programs: a clock, times kept as a histogram, sockets, files.
 *
 * All times are of the monotonic clock, which all processes of a machine share.
 */
#ifndef COMMON_H
#define COMMON_H

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static inline void die(const char *what)
{
    perror(what);
    exit(1);
}

static inline int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* CPU that this process has used, in seconds. */
static inline double own_cpu_s(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_utime.tv_sec + used.ru_stime.tv_sec
        + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

/* Times: buckets that grow by 1 %, from 1 µs to some minutes; what lies below counts as less. */
enum { BUCKETS = 2048 };
static const double GROWTH = 1.01;

struct times {
    uint64_t count, in[BUCKETS];
    int64_t least_ns, most_ns;
};

static inline void note(struct times *times, int64_t ns)
{
    int bucket = ns <= 1000 ? 0 : (int)(log(ns / 1000.0) / log(GROWTH)) + 1;
    times->in[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
    if (!times->count || ns < times->least_ns)
        times->least_ns = ns;
    if (!times->count || ns > times->most_ns)
        times->most_ns = ns;
    times->count++;
}

/* The time that `share` of all keep to, in ms. */
static inline double percentile_ms(const struct times *times, double share)
{
    uint64_t wanted = (uint64_t)ceil(share * times->count), seen = 0;
    for (int bucket = 0; bucket < BUCKETS && wanted; bucket++)
        if ((seen += times->in[bucket]) >= wanted) {
            double ms = bucket ? pow(GROWTH, bucket - 0.5) / 1000 : 0.001;
            return ms < times->most_ns / 1e6 ? ms : times->most_ns / 1e6;
        }
    return 0;
}

static inline void print_times(const char *prefix, const struct times *times)
{
    printf("\"%sp50_ms\": %.4f, \"%sp99_ms\": %.4f, \"%smax_ms\": %.4f, ", prefix,
        percentile_ms(times, 0.5), prefix, percentile_ms(times, 0.99), prefix,
        times->count ? times->most_ns / 1e6 : 0);
}

static inline char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END))
        die(path);
    *size = ftell(file);
    rewind(file);
    char *content = malloc(*size + 1);
    if (!content || fread(content, 1, *size, file) != *size)
        die(path);
    content[*size] = 0;
    fclose(file);
    return content;
}

/* A connection to a port of this machine, without Nagle's delays; non-blocking afterwards. */
static inline int connect_to(int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address))
        die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static inline void watch(int epoll, int fd, void *what)
{
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = what };
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
        die("epoll_ctl");
}

/* Replaces the Idempotency-Key of a request, if it has one. Otherwise a request that is sent again
 * would be answered from the record of the first. */
static inline void renew_key(char *request, size_t size)
{
    static const char HEAD[] = "Idempotency-Key: ";
    static uint64_t run, number;
    char text[33], *found = memmem(request, size, HEAD, sizeof HEAD - 1);
    if (!found)
        return;
    if (!run)
        run = (uint64_t)now_ns() << 20 | getpid();
    snprintf(text, sizeof text, "%016llx%016llx", (unsigned long long)run,
        (unsigned long long)++number);
    memcpy(found + sizeof HEAD - 1, text, 32);
}

static inline void send_all(int fd, const char *data, size_t size)
{
    if (send(fd, data, size, MSG_NOSIGNAL) != (ssize_t)size)
        die("send"); /* a request fits into an empty socket buffer */
}

#endif
