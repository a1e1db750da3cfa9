/* Gives a process another clock and a full disk, when it is loaded by LD_PRELOAD.
 *
 * The file named by PROOF_PRELOAD holds two numbers of 64 bits, and is mapped: what is written there
 * counts at once, in all processes that have it. The first is added to the time of day, in
 * nanoseconds; clocks that only go forward are left alone. The second is how many bytes may yet be
 * written to append-only files; when they are used up, write() fails with ENOSPC. Negative: any
 * number.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct settings {
    int64_t clock_ns;
    int64_t free_bytes;
};

static struct settings none = {0, -1};
static volatile struct settings *settings = &none;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("PROOF_PRELOAD");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *mapped = mmap(NULL, sizeof none, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED)
        settings = mapped;
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    int result = syscall(SYS_clock_gettime, clock, at);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t ns = at->tv_sec * 1000000000LL + at->tv_nsec + settings->clock_ns;
        at->tv_sec = ns / 1000000000LL;
        at->tv_nsec = ns % 1000000000LL;
    }
    return result;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at)
        *at = now.tv_sec;
    return now.tv_sec;
}

static int is_append_only(int descriptor) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return strstr(path, "appendonly.aof") != NULL;
}

/* The server has one thread that writes the file, so that reading and lowering is no race. */
ssize_t write(int descriptor, const void *bytes, size_t size) {
    if (settings->free_bytes >= 0 && is_append_only(descriptor)) {
        if (settings->free_bytes == 0) {
            errno = ENOSPC;
            return -1;
        }
        if ((int64_t)size > settings->free_bytes)
            size = settings->free_bytes;
        settings->free_bytes -= size;
    }
    return syscall(SYS_write, descriptor, bytes, size);
}
