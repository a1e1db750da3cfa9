/* The baseline: event streams by accept() and send() in one epoll loop, and nothing else.
 *
 *   baseline PORT
 *
 * Each line on stdin is the data of an event for all streams. It is framed once. Bytes that a
 * socket does not take at once wait in the stream's own buffer, and a stream whose buffer is full is
 * closed. There is no log and no identity: no server that sends each event at once and by itself
 * can do it for less. It ends with its stdin.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WAITING_MAX = 64 * 1024, EVENT_MAX = 256 * 1024 };

static const char HELLO[] = "HTTP/1.1 200 OK\r\n"
                            "Content-Type: text/event-stream\r\n"
                            "Cache-Control: no-store\r\n"
                            "Transfer-Encoding: chunked\r\n\r\n"
                            "17\r\nevent: ready\ndata: {}\n\n\r\n";

struct stream {
    int fd;               /* -1 once it is closed */
    int place;            /* in `live`; -1 until its request is complete */
    int line_size;        /* of the line of the request that has begun */
    size_t waiting;       /* bytes that the socket has not taken yet: */
    char *bytes;          /* these, if any */
    struct stream *next;  /* of those that are closed */
};

static int epoll_fd;
static struct stream **live, *closed;
static int live_count, live_room;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void watch(int operation, int fd, unsigned events, void *what)
{
    struct epoll_event event = { .events = events, .data.ptr = what };
    if (epoll_ctl(epoll_fd, operation, fd, &event))
        die("epoll_ctl");
}

/* Later events of the same epoll_wait may still point to it, so it is freed after them. */
static void drop(struct stream *stream)
{
    close(stream->fd);
    stream->fd = -1;
    if (stream->place >= 0) {
        live[stream->place] = live[--live_count];
        live[stream->place]->place = stream->place;
    }
    stream->next = closed;
    closed = stream;
}

static void free_closed(void)
{
    while (closed) {
        struct stream *stream = closed;
        closed = stream->next;
        free(stream->bytes);
        free(stream);
    }
}

static void offer(struct stream *stream, const char *data, size_t size)
{
    if (!stream->waiting) {
        ssize_t sent = send(stream->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent == (ssize_t)size)
            return;
        if (sent < 0 && errno != EAGAIN) {
            drop(stream);
            return;
        }
        if (sent > 0)
            data += sent, size -= sent;
        watch(EPOLL_CTL_MOD, stream->fd, EPOLLIN | EPOLLOUT, stream);
    }
    if (stream->waiting + size > WAITING_MAX) {
        drop(stream);
        return;
    }
    if (!stream->bytes && !(stream->bytes = malloc(WAITING_MAX)))
        die("malloc");
    memcpy(stream->bytes + stream->waiting, data, size);
    stream->waiting += size;
}

static void send_waiting(struct stream *stream)
{
    ssize_t sent = send(stream->fd, stream->bytes, stream->waiting, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN)
            drop(stream);
        return;
    }
    stream->waiting -= sent;
    memmove(stream->bytes, stream->bytes + sent, stream->waiting);
    if (!stream->waiting) {
        free(stream->bytes);
        stream->bytes = NULL;
        watch(EPOLL_CTL_MOD, stream->fd, EPOLLIN, stream);
    }
}

static void go_live(struct stream *stream)
{
    if (live_count == live_room) {
        live_room = live_room ? 2 * live_room : 1024;
        live = realloc(live, live_room * sizeof *live);
        if (!live)
            die("realloc");
    }
    stream->place = live_count;
    live[live_count++] = stream;
    offer(stream, HELLO, sizeof HELLO - 1);
}

/* A request ends with its first empty line; what a stream sends after that means nothing. */
static void read_request(struct stream *stream)
{
    char data[4096];
    ssize_t size = recv(stream->fd, data, sizeof data, MSG_DONTWAIT);
    if (size == 0 || (size < 0 && errno != EAGAIN)) {
        drop(stream);
        return;
    }
    for (ssize_t i = 0; i < size && stream->place < 0; i++) {
        if (data[i] == '\n' && !stream->line_size)
            go_live(stream);
        else if (data[i] == '\n')
            stream->line_size = 0;
        else if (data[i] != '\r')
            stream->line_size++;
    }
}

static void accept_streams(int listener)
{
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct stream *stream = calloc(1, sizeof *stream);
        if (!stream)
            die("calloc");
        stream->fd = fd;
        stream->place = -1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        watch(EPOLL_CTL_ADD, fd, EPOLLIN, stream);
    }
}

static void publish(const char *data, int size)
{
    static unsigned long id;
    static char body[EVENT_MAX + 64], chunk[EVENT_MAX + 128];
    int body_size = snprintf(body, sizeof body, "id: %lu\ndata: %.*s\n\n", ++id, size, data);
    int chunk_size = snprintf(chunk, sizeof chunk, "%x\r\n%s\r\n", body_size, body);
    for (int i = live_count - 1; i >= 0; i--) /* downwards: the last takes a dropped one's place */
        offer(live[i], chunk, chunk_size);
}

static void read_events(void)
{
    static char data[EVENT_MAX];
    static size_t held;
    ssize_t size = read(STDIN_FILENO, data + held, sizeof data - held);
    if (size <= 0)
        exit(size < 0 || held == sizeof data);
    held += size;
    char *line = data, *end;
    while ((end = memchr(line, '\n', data + held - line))) {
        publish(line, end - line);
        line = end + 1;
    }
    held -= line - data;
    memmove(data, line, held);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(atoi(argv[1])) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096))
        die("listen");
    epoll_fd = epoll_create1(0);
    watch(EPOLL_CTL_ADD, listener, EPOLLIN, &listener);
    watch(EPOLL_CTL_ADD, STDIN_FILENO, EPOLLIN, NULL);

    struct epoll_event ready[1024];
    for (;;) {
        int found = epoll_wait(epoll_fd, ready, 1024, -1);
        for (int i = 0; i < found; i++) {
            struct stream *stream = ready[i].data.ptr;
            if (!stream)
                read_events();
            else if ((void *)stream == &listener)
                accept_streams(listener);
            else {
                if (stream->fd >= 0 && ready[i].events & EPOLLOUT)
                    send_waiting(stream);
                if (stream->fd >= 0 && ready[i].events & ~EPOLLOUT)
                    read_request(stream);
            }
        }
        free_closed();
    }
}
