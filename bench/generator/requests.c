/* Sends requests over keep-alive connections and times the answers.
 *
 *   requests PORT RATE WARM_UP_S DURATION_S STATUS MARK REQUESTS_FILE
 *
 * RATE 0 is a closed loop: each connection sends its next request when it has its answer. Else an
 * open loop: RATE requests are due per second, whatever the server does. Each is sent on a free
 * connection, and its time counts from the moment it was due, so a server that falls behind does
 * not hide the wait of the following requests (coordinated omission).
 *
 * The file holds records: connection and size as 32-bit numbers, then the bytes of a request. Each
 * connection sends its own in turn, again and again, and ends after a whole number of pairs, so
 * that every item taken is given back. An answer counts if it has STATUS and, in its first bytes, MARK.
 */
#include "http.h"

static const int64_t SILENCE_NS = 15000000000;
enum { KEPT = 160 };

struct request {
    char *data;
    size_t size;
};

struct client {
    int fd, is_busy, is_done;
    struct answer answer;
    struct request *requests;
    int count, position;
    int64_t due_ns;
    int kept;
    char body[KEPT + 1]; /* its first bytes */
};

static struct {
    int64_t from_ns, to_ns, answered_ns;
    uint64_t answers, failures, measured;
    char failure[KEPT + 1];
    struct times times;
} seen;

static void fail(uint64_t count, const char *what)
{
    if (!seen.failures && count) {
        snprintf(seen.failure, sizeof seen.failure, "%s", what);
        for (char *each = seen.failure; *each; each++)
            if (*each < ' ' || *each == '"' || *each == '\\')
                *each = '\'';
    }
    seen.failures += count;
}

static void keep(void *context, const char *data, size_t size)
{
    struct client *client = context;
    size_t span = (size_t)(KEPT - client->kept) < size ? (size_t)(KEPT - client->kept) : size;
    memcpy(client->body + client->kept, data, span);
    client->kept += span;
}

static void ask(struct client *client, int64_t due_ns)
{
    struct request *request = &client->requests[client->position];
    begin_answer(&client->answer);
    client->kept = 0;
    client->is_busy = 1;
    client->due_ns = due_ns;
    renew_key(request->data, request->size);
    if (send(client->fd, request->data, request->size, MSG_NOSIGNAL) == (ssize_t)request->size)
        return;
    fail(1, "a request was not taken"); /* it fits into an empty socket buffer */
    client->is_done = 1;
    client->is_busy = 0;
    close(client->fd);
}

/* Reads what has arrived; whether the answer is complete. */
static int read_answer(struct client *client, int status, const char *mark)
{
    static char buffer[1 << 20];
    ssize_t size = recv(client->fd, buffer, sizeof buffer, 0);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (size <= 0) {
        fail(1, "the server closed the connection");
        client->is_done = 1;
        client->is_busy = 0;
        close(client->fd);
        return 0;
    }
    take_in(&client->answer, buffer, size, keep, client);
    if (client->answer.part != DONE)
        return 0;
    int64_t now = now_ns();
    client->body[client->kept] = 0;
    client->is_busy = 0;
    seen.answers++;
    seen.answered_ns = now;
    if (client->answer.status != status || !strstr(client->body, mark))
        fail(1, client->body);
    if (now >= seen.from_ns && now <= seen.to_ns) {
        note(&seen.times, now - client->due_ns);
        seen.measured++;
    }
    client->position = (client->position + 1) % client->count;
    return 1;
}

static struct client *read_requests(const char *path, int *count)
{
    size_t size;
    char *data = read_file(path, &size);
    struct client *clients = NULL;
    *count = 0;
    for (size_t at = 0; at < size;) {
        uint32_t number, bytes;
        memcpy(&number, data + at, 4);
        memcpy(&bytes, data + at + 4, 4);
        if ((int)number >= *count) {
            clients = realloc(clients, (number + 1) * sizeof *clients);
            memset(clients + *count, 0, (number + 1 - *count) * sizeof *clients);
            *count = number + 1;
        }
        struct client *client = &clients[number];
        client->requests = realloc(client->requests, (client->count + 1) * sizeof(struct request));
        client->requests[client->count++] = (struct request){ data + at + 8, bytes };
        at += 8 + bytes;
    }
    return clients;
}

int main(int argc, char **argv)
{
    if (argc != 8)
        return 2;
    int port = atoi(argv[1]), status = atoi(argv[5]), count, epoll = epoll_create1(0);
    double rate = atof(argv[2]), duration_s = atof(argv[4]);
    struct client *clients = read_requests(argv[7], &count);
    for (int i = 0; i < count; i++) {
        clients[i].fd = connect_to(port);
        watch(epoll, clients[i].fd, &clients[i]);
    }
    double began_cpu_s = own_cpu_s();
    int64_t began_ns = now_ns();
    seen.from_ns = began_ns + (int64_t)(atof(argv[3]) * 1e9);
    seen.to_ns = seen.from_ns + (int64_t)(duration_s * 1e9);
    seen.answered_ns = began_ns;
    if (!rate)
        for (int i = 0; i < count; i++)
            ask(&clients[i], now_ns());

    struct epoll_event ready[256];
    int64_t due = 0;     /* how many requests have gone out, in the open loop */
    int64_t waiting = -1; /* the last one that found every connection busy */
    uint64_t late = 0;
    int turn = 0, done = 0;
    while (done < count) {
        int64_t now = now_ns(), wait_ns = 200000000;
        if (rate && now <= seen.to_ns) {
            while (began_ns + (int64_t)(due * 1e9 / rate) <= now) {
                int tried = 0;
                while (tried < count && (clients[turn].is_busy || clients[turn].is_done)) {
                    turn = (turn + 1) % count;
                    tried++;
                }
                if (tried == count) { /* all are busy: it stays due, and its time runs */
                    late += waiting != due;
                    waiting = due;
                    break;
                }
                ask(&clients[turn], began_ns + (int64_t)(due++ * 1e9 / rate));
                turn = (turn + 1) % count;
            }
            int64_t next_ns = began_ns + (int64_t)(due * 1e9 / rate) - now_ns();
            if (waiting != due)
                wait_ns = next_ns > 0 ? next_ns : 0;
        }
        /* epoll_wait() knows milliseconds only, and spinning would take a core from the server. */
        struct timespec wait = { wait_ns / 1000000000, wait_ns % 1000000000 };
        struct pollfd any = { .fd = epoll, .events = POLLIN };
        ppoll(&any, 1, &wait, NULL);
        int found = epoll_wait(epoll, ready, 256, 0);
        now = now_ns();
        for (int i = 0; i < found; i++) {
            struct client *client = ready[i].data.ptr;
            if (!client->is_done && read_answer(client, status, argv[6]) && !rate
                && (now <= seen.to_ns || client->position % 2))
                ask(client, now_ns());
        }
        done = 0;
        for (int i = 0; i < count; i++) {
            struct client *client = &clients[i];
            if (rate && now > seen.to_ns && !client->is_busy && client->position % 2
                && !client->is_done)
                ask(client, now); /* the second of a pair, after the time */
            client->is_done |= now > seen.to_ns && !client->is_busy;
            done += client->is_done;
        }
        if (done < count && now - seen.answered_ns > SILENCE_NS) {
            fail(count - done, "no answer came");
            break;
        }
    }
    double wall_s = (now_ns() - began_ns) / 1e9, cpu_s = own_cpu_s() - began_cpu_s;
    double p50 = percentile_ms(&seen.times, 0.5), p99 = percentile_ms(&seen.times, 0.99);
    printf("{\"answers\": %llu, \"failures\": %llu, \"failure\": \"%s\", \"per_s\": %.2f, "
           "\"waited_for_a_connection\": %llu, ",
        (unsigned long long)seen.answers, (unsigned long long)seen.failures, seen.failure,
        seen.measured / duration_s, (unsigned long long)late);
    print_times("", &seen.times);
    printf("\"p99_to_p50\": %.3f, \"generator_cpu_s\": %.3f, \"generator_utilisation\": %.4f}\n",
        p50 ? p99 / p50 : 0, cpu_s, cpu_s / wall_s);
    return 0;
}
