/* Measures the cost of a send() over loopback.
 *
 *   send_cost STREAMS DURATION_S
 *
 * Opens STREAMS connections to itself and writes 256 bytes to each, round after round: the cost of a
 * round to a server that does nothing else. Between rounds the receiving ends are emptied, which is
 * not counted. One line of JSON on stdout: wall-clock and CPU time of one send(), as means, because
 * a CPU quota stops the program for whole milliseconds now and then.
 */
#include "common.h"

enum { EVENT_BYTES = 256 };

static int64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    int count = atoi(argv[1]);
    int64_t duration_ns = (int64_t)(atof(argv[2]) * 1e9);
    struct sockaddr_in address = { .sin_family = AF_INET };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 128)
        || getsockname(listener, (struct sockaddr *)&address, &size))
        die("listen");
    int *writers = calloc(count, sizeof *writers), *readers = calloc(count, sizeof *readers);
    for (int i = 0; i < count; i++) {
        readers[i] = connect_to(ntohs(address.sin_port));
        writers[i] = accept(listener, NULL, NULL);
        if (writers[i] < 0)
            die("accept");
        setsockopt(writers[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
    static char event[EVENT_BYTES], buffer[64 * 1024];
    int64_t ends_ns = now_ns() + duration_ns, wall_ns = 0, used_ns = 0, sends = 0;
    do {
        int64_t began_ns = now_ns(), began_cpu_ns = cpu_ns();
        for (int i = 0; i < count; i++)
            if (send(writers[i], event, sizeof event, MSG_NOSIGNAL) != sizeof event)
                die("send");
        wall_ns += now_ns() - began_ns;
        used_ns += cpu_ns() - began_cpu_ns;
        sends += count;
        for (int i = 0; i < count; i++)
            if (recv(readers[i], buffer, sizeof buffer, 0) < 0 && errno != EAGAIN)
                die("recv");
    } while (now_ns() < ends_ns);
    printf("{\"send_us\": %.4f, \"send_cpu_us\": %.4f}\n", wall_ns / 1e3 / sends,
        used_ns / 1e3 / sends);
    return 0;
}
