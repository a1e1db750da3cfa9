/* Times each event at each stream, one operation at a time.
 *
 *   latency PORT STREAMS OPERATIONS GAP_MS LIVE_LINE EVENTS_REQUEST_FILE REQUESTS_FILE
 *
 * Opens the streams, then sends one operation after the other on a connection of its own (the
 * records of REQUESTS_FILE, as in requests.c), each when the last one's event has arrived
 * everywhere and GAP_MS have passed. It reports the times from the operation's answer (negative if
 * an event arrives before it) and from its sending, all exact. One line of JSON on stdout. A tenth
 * more operations are sent first, to warm up.
 */
#include "sse.h"

static struct {
    int64_t sent_ns, answered_ns;
    int arrived, room, is_answered, failures;
    int64_t *arrived_ns; /* of this operation's event, at each stream that has it */
    int64_t *after_answer_ns, *after_sending_ns, *answer_ns;
    size_t times, answers, before_answer;
} run;

static void arrived(struct stream *stream, int64_t seq, int64_t at_ns)
{
    (void)stream, (void)seq;
    if (run.arrived < run.room)
        run.arrived_ns[run.arrived++] = at_ns;
}

static void ignore(void *context, const char *data, size_t size)
{
    (void)context, (void)data, (void)size;
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void print_exact(const char *prefix, int64_t *ns, size_t count)
{
    qsort(ns, count, sizeof *ns, by_size);
    printf("\"%sp50_ms\": %.4f, \"%sp99_ms\": %.4f, \"%smax_ms\": %.4f, ", prefix,
        count ? ns[count / 2] / 1e6 : 0, prefix, count ? ns[count * 99 / 100] / 1e6 : 0, prefix,
        count ? ns[count - 1] / 1e6 : 0);
}

int main(int argc, char **argv)
{
    if (argc != 8)
        return 2;
    int port = atoi(argv[1]), count = atoi(argv[2]), operations = atoi(argv[3]);
    int gap_ms = atoi(argv[4]), epoll = epoll_create1(0);
    size_t request_size, size;
    char *request = read_file(argv[6], &request_size), *records = read_file(argv[7], &size);
    struct stream *streams = calloc(count, sizeof *streams);
    size_t room = (size_t)count * operations + 1;
    run.room = count + 1; /* one too many is noticed */
    run.arrived_ns = calloc(run.room, sizeof *run.arrived_ns);
    run.after_answer_ns = calloc(room, sizeof *run.after_answer_ns);
    run.after_sending_ns = calloc(room, sizeof *run.after_sending_ns);
    run.answer_ns = calloc(operations + 1, sizeof *run.answer_ns);
    seen.live_line = argv[5];
    open_streams(streams, count, 50, epoll, port, request, request_size);
    if (seen.live != count) {
        fprintf(stderr, "%d streams are live: %s\n", seen.live, seen.trouble);
        return 1;
    }
    seen.on_event = arrived;

    int fd = connect_to(port), is_lost = 0, warm_up = operations / 10;
    struct answer answer;
    watch(epoll, fd, &answer);
    struct epoll_event ready[256];
    size_t at = 0;
    double began_cpu_s = own_cpu_s();
    int64_t began_ns = now_ns();
    for (int number = -warm_up; number < operations && !is_lost; number++) {
        usleep(gap_ms * 1000);
        uint32_t bytes;
        memcpy(&bytes, records + at + 4, 4);
        begin_answer(&answer);
        renew_key(records + at + 8, bytes);
        run.arrived = run.is_answered = 0;
        run.sent_ns = now_ns();
        send_all(fd, records + at + 8, bytes);
        at = at + 8 + bytes < size ? at + 8 + bytes : 0;
        while (!run.is_answered || run.arrived < count) {
            int found = epoll_wait(epoll, ready, 256, 5000);
            if (!found || run.arrived > count) {
                is_lost = 1;
                break;
            }
            for (int i = 0; i < found; i++) {
                if (ready[i].data.ptr != &answer) {
                    struct stream *stream = ready[i].data.ptr;
                    read_stream(stream);
                    is_lost |= stream->is_ended;
                    continue;
                }
                char buffer[65536];
                ssize_t got = recv(fd, buffer, sizeof buffer, 0);
                if (got <= 0)
                    return 1;
                take_in(&answer, buffer, got, ignore, NULL);
                if (answer.part == DONE) {
                    run.is_answered = 1;
                    run.answered_ns = now_ns();
                    run.failures += answer.status != 200;
                }
            }
            if (is_lost)
                break;
        }
        if (number < 0 || is_lost)
            continue;
        run.answer_ns[run.answers++] = run.answered_ns - run.sent_ns;
        for (int i = 0; i < run.arrived; i++) {
            run.before_answer += run.arrived_ns[i] < run.answered_ns;
            run.after_answer_ns[run.times] = run.arrived_ns[i] - run.answered_ns;
            run.after_sending_ns[run.times++] = run.arrived_ns[i] - run.sent_ns;
        }
    }
    double wall_s = (now_ns() - began_ns) / 1e9, cpu_s = own_cpu_s() - began_cpu_s;
    printf("{\"streams\": %d, \"operations\": %zu, \"failures\": %d, \"out_of_order\": %llu, "
           "\"before_answer\": %zu, \"arrivals\": %zu, ",
        count, run.answers, run.failures + is_lost, (unsigned long long)seen.out_of_order,
        run.before_answer, run.times);
    print_exact("after_answer_", run.after_answer_ns, run.times);
    print_exact("", run.after_sending_ns, run.times);
    print_exact("answer_", run.answer_ns, run.answers);
    printf("\"trouble\": \"%s\", \"generator_cpu_s\": %.3f, \"generator_utilisation\": %.4f}\n",
        seen.trouble, cpu_s, cpu_s / wall_s);
    return 0;
}
