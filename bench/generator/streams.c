/* Reads thousands of event streams, and reports whether and when every event arrived in each.
 *
 *   streams PORT COUNT AT_ONCE LIVE_LINE REQUEST_FILE
 *
 * Opens COUNT streams, of which AT_ONCE connect at a time, and prints a line when all are live or
 * nothing has happened for some seconds. A line "FIRST LAST WITHIN_S" on stdin says which events
 * were published. The program prints its figures when every stream has the last one, when nothing
 * arrives for five seconds, or when the time is up. It ends with its stdin. Lines on stdout are JSON.
 */
#include "sse.h"

enum { READ_OF_COMPRESSED = 20 };

static const int64_t SILENCE_NS = 5000000000;

/* Whether the stream has all events up to `last`: they were read, or it has as many bytes as one of
 * the compressed streams that were read (each process of a server may compress by itself). */
static int is_whole(const struct stream *stream, int64_t last, const struct stream *streams,
    int count)
{
    if (!stream->answer.is_gzip || stream->is_read)
        return stream->last_seq == last;
    for (int i = 0; i < READ_OF_COMPRESSED && i < count; i++) {
        const struct stream *read = &streams[(int64_t)i * count / READ_OF_COMPRESSED];
        if (read->last_seq == last && read->same_bytes == stream->same_bytes)
            return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 6)
        return 2;
    int port = atoi(argv[1]), count = atoi(argv[2]), epoll = epoll_create1(0);
    size_t size;
    char *request = read_file(argv[5], &size);
    struct stream *streams = calloc(count, sizeof *streams);
    seen.live_line = argv[4];
    for (int i = 0; i < READ_OF_COMPRESSED && i < count; i++)
        streams[(int64_t)i * count / READ_OF_COMPRESSED].is_read = 1;

    double connect_s = open_streams(streams, count, atoi(argv[3]), epoll, port, request, size);
    printf("{\"live\": %d, \"connect_s\": %.4f, \"trouble\": \"%s\"}\n", seen.live, connect_s,
        seen.trouble);
    fflush(stdout);

    watch(epoll, STDIN_FILENO, NULL);
    struct epoll_event ready[1024];
    int64_t first = 0, last = 0, began_ns = now_ns(), moved_ns = began_ns, asked_ns = 0, end_ns = 0;
    double began_cpu_s = own_cpu_s();
    int is_asked = 0;
    for (;;) {
        int found = epoll_wait(epoll, ready, 1024, 100);
        int64_t now = now_ns();
        for (int i = 0; i < found; i++) {
            struct stream *stream = ready[i].data.ptr;
            if (stream && !stream->is_ended) {
                read_stream(stream);
                moved_ns = now;
            } else if (!stream) {
                long long from, to;
                double within_s;
                if (scanf("%lld %lld %lf", &from, &to, &within_s) != 3)
                    return 0;
                first = from, last = to, is_asked = 1, moved_ns = asked_ns = now;
                end_ns = now + (int64_t)(within_s * 1e9);
            }
        }
        if (!is_asked)
            continue;
        int complete = 0;
        for (int i = 0; i < count; i++)
            complete += is_whole(&streams[i], last, streams, count) || streams[i].is_ended;
        if (complete < count && now - moved_ns < SILENCE_NS && now < end_ns)
            continue;
        int64_t until_ns = complete < count ? moved_ns : now;
        uint64_t whole = 0, served = 0, bytes = 0;
        for (int i = 0; i < count; i++) {
            int is_unread = streams[i].answer.is_gzip && !streams[i].is_read;
            int is_complete = is_whole(&streams[i], last, streams, count)
                && (is_unread || streams[i].events == (uint64_t)(last - first + 1));
            if (is_unread && is_complete)
                seen.delivered += last - first + 1;
            served += streams[i].events > 0 || streams[i].same_bytes > 0;
            whole += is_complete;
            bytes += streams[i].bytes;
        }
        double wall_s = (until_ns - began_ns) / 1e9, cpu_s = own_cpu_s() - began_cpu_s;
        printf("{\"expected\": %lld, \"delivered\": %llu, \"whole_streams\": %llu, "
               "\"served_streams\": %llu, \"out_of_order\": %llu, \"troubles\": %llu, "
               "\"trouble\": \"%s\", \"received_bytes\": %llu, \"took_s\": %.3f, ",
            (long long)(last - first + 1) * count, (unsigned long long)seen.delivered,
            (unsigned long long)whole, (unsigned long long)served,
            (unsigned long long)seen.out_of_order, (unsigned long long)seen.troubles, seen.trouble,
            (unsigned long long)bytes, (until_ns - asked_ns) / 1e9);
        print_times("", &seen.delays);
        printf("\"generator_cpu_s\": %.3f, \"generator_utilisation\": %.4f}\n", cpu_s,
            cpu_s / wall_s);
        fflush(stdout);
        is_asked = 0;
    }
}
