/* An event stream as it arrives: its events, and whether each arrived once and in order.
 *
 * The data of an event begins with {"seq":N and may go on with ,"t":NS, the moment of sending.
 * Only the first bytes of each line are needed, so only these are kept.
 *
 * Compressed streams get the same bytes from the moment they are live, except for heartbeats,
 * which are tiny. Some of them are read completely; the others count as having the same events if
 * they have as many bytes. Reading all of them would take several cores.
 */
#ifndef SSE_H
#define SSE_H

#include "http.h"
#include <zlib.h>

enum { HEARTBEAT_BYTES = 32 }; /* a compressed chunk below this is no event */

struct stream {
    int fd, is_live, is_ended;
    int is_read;         /* also if it is compressed */
    int live_chunk;      /* the one in which it went live */
    uint64_t same_bytes; /* compressed ones after that */
    z_stream *inflater;
    struct answer answer;
    int64_t last_seq;  /* 0 before the first event */
    uint64_t events, bytes;
    int line_size;     /* of the line that has begun; may be more than is kept */
    char line[96];
};

static struct {
    const char *live_line;
    int live;
    uint64_t delivered, out_of_order, troubles;
    char trouble[128]; /* the first one */
    struct times delays;
    void (*on_event)(struct stream *stream, int64_t seq, int64_t at_ns);
} seen;

static inline void trouble(const char *what)
{
    if (!seen.troubles++)
        snprintf(seen.trouble, sizeof seen.trouble, "%s", what);
}

static inline int64_t number_after(const char *line, const char *name)
{
    const char *found = strstr(line, name);
    return found ? atoll(found + strlen(name)) : 0;
}

static inline void stream_line(struct stream *stream, int64_t at_ns)
{
    char *line = stream->line;
    int kept = stream->line_size < (int)sizeof stream->line ? stream->line_size
                                                            : (int)sizeof stream->line - 1;
    if (kept && line[kept - 1] == '\r')
        kept--;
    line[kept] = 0;
    if (!strncmp(line, "data: {\"seq\":", 13)) {
        int64_t seq = atoll(line + 13), sent_ns = number_after(line, ",\"t\":");
        if (stream->last_seq && seq != stream->last_seq + 1)
            seen.out_of_order++;
        stream->last_seq = seq;
        stream->events++;
        seen.delivered++;
        if (sent_ns)
            note(&seen.delays, at_ns - sent_ns);
        if (seen.on_event)
            seen.on_event(stream, seq, at_ns);
    } else if (!strcmp(line, seen.live_line)) {
        seen.live += !stream->is_live;
        stream->is_live = 1;
        stream->live_chunk = stream->answer.chunks;
    } else if (!strcmp(line, "event: reset") || !strcmp(line, "event: degraded")
        || !strcmp(line, "event: bye")) {
        trouble(line);
    }
}

static int64_t reading_at_ns;

static inline void stream_text(struct stream *stream, const char *data, size_t size)
{
    while (size) {
        const char *end = memchr(data, '\n', size);
        size_t span = end ? (size_t)(end - data) : size;
        int room = (int)sizeof stream->line - 1 - stream->line_size;
        if (room > 0)
            memcpy(stream->line + stream->line_size, data, span < (size_t)room ? span : (size_t)room);
        stream->line_size += span;
        if (!end)
            return;
        stream_line(stream, reading_at_ns);
        stream->line_size = 0;
        data = end + 1;
        size -= span + 1;
    }
}

static inline void inflate_body(struct stream *stream, const char *data, size_t size)
{
    static unsigned char text[64 * 1024];
    if (!stream->inflater) {
        stream->inflater = calloc(1, sizeof *stream->inflater);
        if (inflateInit2(stream->inflater, 16 + MAX_WBITS) != Z_OK)
            die("inflateInit2");
    }
    z_stream *inflater = stream->inflater;
    inflater->next_in = (unsigned char *)data;
    inflater->avail_in = size;
    do {
        inflater->next_out = text;
        inflater->avail_out = sizeof text;
        int result = inflate(inflater, Z_SYNC_FLUSH);
        if (result != Z_OK && result != Z_BUF_ERROR) {
            trouble("a stream is no gzip");
            return;
        }
        stream_text(stream, (char *)text, sizeof text - inflater->avail_out);
    } while (!inflater->avail_out);
    if (stream->is_live && !stream->is_read) {
        inflateEnd(inflater);
        free(inflater);
        stream->inflater = NULL;
    }
}

static inline void stream_body(void *context, const char *data, size_t size)
{
    struct stream *stream = context;
    struct answer *answer = &stream->answer;
    if (!answer->is_gzip) {
        stream_text(stream, data, size);
        return;
    }
    if (stream->is_live && answer->chunks > stream->live_chunk
        && answer->chunk_bytes >= HEARTBEAT_BYTES)
        stream->same_bytes += size;
    if (!stream->is_live || stream->is_read)
        inflate_body(stream, data, size);
}

/* Reads what has arrived. */
static inline void read_stream(struct stream *stream)
{
    static char buffer[256 * 1024];
    ssize_t size = recv(stream->fd, buffer, sizeof buffer, 0);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    reading_at_ns = now_ns();
    if (size > 0) {
        stream->bytes += size;
        take_in(&stream->answer, buffer, size, stream_body, stream);
    }
    int is_refused = stream->answer.status && stream->answer.status != 200;
    if (size <= 0 || stream->answer.part == DONE || is_refused) {
        char what[64];
        snprintf(what, sizeof what, "a stream ended, status %d", stream->answer.status);
        trouble(what);
        stream->is_ended = 1;
        close(stream->fd);
    }
}

static inline void open_stream(struct stream *stream, int epoll, int port, const char *request,
    size_t size)
{
    stream->fd = connect_to(port);
    begin_answer(&stream->answer);
    send_all(stream->fd, request, size);
    watch(epoll, stream->fd, stream);
}

/* Opens `count` streams, at most `at_once` of them at a time, until all are live or have failed, or
 * nothing happens for five seconds. `requests` holds one request or several, which are sent in
 * turn. Returns the seconds that it took. */
static inline double open_streams(struct stream *streams, int count, int at_once, int epoll,
    int port, const char *requests, size_t size)
{
    const char *request = requests;
    int64_t began_ns = now_ns(), moved_ns = began_ns;
    int opened = 0;
    struct epoll_event ready[256];
    while (seen.live + (int)seen.troubles < count && now_ns() - moved_ns < 5000000000) {
        while (opened < count && opened - seen.live - (int)seen.troubles < at_once) {
            const char *head_end = memmem(request, requests + size - request, "\r\n\r\n", 4);
            if (!head_end)
                die("a request without an end");
            size_t request_size = head_end + 4 - request;
            open_stream(&streams[opened++], epoll, port, request, request_size);
            request += request_size;
            if (request == requests + size)
                request = requests;
        }
        int found = epoll_wait(epoll, ready, 256, 100);
        for (int i = 0; i < found; i++)
            if (ready[i].data.ptr)
                read_stream(ready[i].data.ptr);
        if (found)
            moved_ns = now_ns();
    }
    return (now_ns() - began_ns) / 1e9;
}

#endif
