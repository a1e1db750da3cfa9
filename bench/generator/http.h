/* The minimum of HTTP/1.1 that a generator needs: an answer parsed as it arrives.
 *
 * The bytes of the body go to `on_body` in spans, without the framing of chunks (RFC 9112, 7.1).
 */
#ifndef HTTP_H
#define HTTP_H

#include "common.h"
#include <strings.h>

enum part { HEAD, CHUNK_SIZE, CHUNK, CHUNK_END, BODY, DONE };

struct answer {
    enum part part;
    int status;         /* 0 until the head has arrived */
    int is_chunked, is_gzip;
    int chunks;         /* that have begun, this one included */
    int64_t chunk_bytes;
    int64_t left_bytes; /* of the chunk or body; -1: to the end of the connection */
    int line_size;
    char line[256];     /* the line of the head or chunk size that has begun */
};

typedef void on_body(void *context, const char *data, size_t size);

static inline void head_line(struct answer *answer, const char *line)
{
    if (!answer->status)
        answer->status = strlen(line) > 9 ? atoi(line + 9) : -1;
    else if (!strncasecmp(line, "content-length:", 15))
        answer->left_bytes = atoll(line + 15);
    else if (!strncasecmp(line, "transfer-encoding: chunked", 26))
        answer->is_chunked = 1;
    else if (!strncasecmp(line, "content-encoding: gzip", 22))
        answer->is_gzip = 1;
    else if (!*line) {
        if (answer->is_chunked)
            answer->part = CHUNK_SIZE;
        else
            answer->part = answer->left_bytes || answer->status == 304 ? BODY : DONE;
        if (answer->status == 304 || answer->status == 204)
            answer->part = DONE;
    }
}

/* Takes in what has arrived; returns how much of it belongs to this answer. */
static inline size_t take_in(struct answer *answer, const char *data, size_t size, on_body *body,
    void *context)
{
    size_t at = 0;
    while (at < size && answer->part != DONE) {
        if (answer->part == CHUNK || answer->part == BODY) {
            size_t span = size - at;
            if (answer->left_bytes >= 0 && (int64_t)span > answer->left_bytes)
                span = answer->left_bytes;
            body(context, data + at, span);
            at += span;
            if (answer->left_bytes > 0)
                answer->left_bytes -= span;
            if (!answer->left_bytes)
                answer->part = answer->part == CHUNK ? CHUNK_END : DONE;
            continue;
        }
        const char *end = memchr(data + at, '\n', size - at);
        size_t span = end ? (size_t)(end - data - at) : size - at;
        for (size_t i = 0; i < span && answer->line_size < (int)sizeof answer->line - 1; i++)
            answer->line[answer->line_size++] = data[at + i];
        if (!end)
            return size;
        at += span + 1;
        if (answer->line_size && answer->line[answer->line_size - 1] == '\r')
            answer->line_size--;
        answer->line[answer->line_size] = 0;
        answer->line_size = 0;
        if (answer->part == HEAD) {
            head_line(answer, answer->line);
        } else if (answer->part == CHUNK_END) {
            answer->part = CHUNK_SIZE;
        } else {
            answer->chunk_bytes = answer->left_bytes = strtoll(answer->line, NULL, 16);
            answer->chunks++;
            answer->part = answer->left_bytes ? CHUNK : DONE;
        }
    }
    return at;
}

static inline void begin_answer(struct answer *answer)
{
    answer->part = HEAD;
    answer->status = answer->is_chunked = answer->is_gzip = answer->line_size = 0;
    answer->chunks = 0;
    answer->left_bytes = -1;
}

#endif
