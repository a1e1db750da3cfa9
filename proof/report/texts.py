"""The page's paragraphs."""

BEGINNING = """\
# Reliability

What happens to operations, streams and access when something fails: one server, a process, the
network, a clock, a disk, or a server of a Cluster or of a Sentinel set-up. It is measured on real
servers. `bin/prove` makes these counts and this page; the counts are in
[reliability.json](reliability.json).

"""

SINGLE = """\
## One server

Each round runs one server with an append-only file, and one node of two gunicorn processes, or two
nodes behind nginx. 200 workers send all operations to ten boards of twenty items, each with its own
Idempotency-Key, and send them again until an answer is known. Two watchers follow each board; one
of them ends its connection about once a second and goes on from its cursor. In the midst there are
faults: one, several at once, or a storm of 24. Afterwards a judge that shares no code with the
product reads what all callers, all watchers and the server have seen. A round is void without one
of its faults (a storm: without three quarters of them; the others do not count), or with fewer than
100 operations a second outside the faults that stop everything.

*lost-answers*, *reconnects* and *rolling-restarts* are rounds that bring on one goal: half of all
acknowledgements are lost; ten watchers end their connections five times a second; the nodes are
restarted four times.

"""

FAILOVERS = """\
## A Cluster, and Sentinels

Each round runs two nodes of two gunicorn processes behind nginx, without sticky sessions, on a
Cluster of three primaries and three replicas, or on a primary, two replicas and three Sentinels.
Twelve workers send operations to six boards, each with its own Idempotency-Key, and send them again
until an answer is known; twelve watchers follow the boards. In the midst there is one fault, and a
token is revoked. In *strict mode* (`OCCUPANCY_CONFIRM_REPLICAS`) all replicas of a primary confirm
each operation.

"""

MEANING = """\
*Acknowledged and lost*: operations that were answered 200 and are not in the log afterwards.
Without strict mode, replication is asynchronous, and a failover may lose the last of them.
*Seen and lost*: events that a watcher saw and that are not in the log; each such watcher was reset.
*Promotion*: from the fault to the moment when a replica was seen as primary, or when what was to
happen had happened. *Live again*: from then to the next event on the boards concerned. In strict
mode that takes until the server that was killed follows as a replica again: without it there are
too few, and no operation begins. Sentinels tell it whom to follow within about two seconds, or at
their next look, ten seconds later. *Others' gap*: the longest time without an event on a board of
another shard. Times are the median and the longest. *Connections*: the most that a server had at
once, of a budget of 50.
"""

GOALS = """\
## Goals

A round counts for the goals only if it is not void: its faults have happened, and it had at least
100 operations a second on average. The violations of a goal are those of all rounds that have added
to it.

"""

ACCESS = """\
## Access under attack

*access-matrix*: every route, method, role and state of a credential, against a table that is
written apart from the product. *access-revocations*: each of seven kinds of an end (a token
revoked, a worker disabled, a PIN changed, …) at a random moment, while callers and streams use both
processes; the promise is 5 s. *access-guessing*: PINs are guessed from 1,000 addresses, and for a
day of the server's clock; what a guesser has in it is published in SECURITY.md.

"""

DAY = """\
## A day's work

Three shifts of 24 people work on three boards: they sign in by PIN, take, pause and complete items,
reload their page, stop in the breaks, and sign out. Twelve tablets stand idle with an open stream,
three walls show the boards, a program polls the snapshot, each hour asks for reports, and each
shift begins with an import. The days pass {acceleration:.0f} times as fast as a real one. Only the
load's clock is accelerated: sessions, heartbeats and the 24 hours of an idempotency record take
their real time. So this shows what the day's work leaves behind, not what real time does.

The days before, four times as fast again, are warm-up: the number of live objects hardly changes
after two of them, but the allocator's fragments fill for some days more. Then each process opens
all its connections for operations, and a few hours pass at the days' own pace. After that come the
two days that are judged; memory is sampled fifteen times an hour. A slope is that of the least
value of each hour, so that what is taken for a moment does not count. Its interval is that of 99 %
confidence, with regard to autocorrelation. Memory grows if the lower bounds of both
days are above 0: a leak grows every day, fragments ever less.

*Kept by design*: idempotency records, logs, histories and the like, which have a bound of their
own. *No key*: what the server has beside its keys and their tables.

"""

PLANTED = """\
## Planted bugs

Each bug is put into a copy of the product, alone. Then the tests run that should notice it.

"""

REPEAT = """\
## How to repeat it

```sh
bin/prove --minutes 120                # goes on where the last run stopped
bin/prove --only reload,aof-cut        # these kinds; the counts are added too
bin/prove --only aof-cut --seed 7      # one round again; the counts stay as they are
bin/prove --fresh                      # forget all counts, and begin anew
```

The seed decides on the server and on the number of nodes too. Moments and faults follow from it,
but not what threads and networks do in between: a violation may need several repetitions. The texts
and the logs of a round that is violated or void are kept in `var/prove/`. The counts belong to one
version of the product, known by a hash of its files. When they change, counting begins anew, with
further seeds; the sums of earlier versions stay below. It needs nginx and redis-server; without
redis-server, only Valkey is tried.
"""

SINGLE_MEANING = """\
*A second*: operations, outside the faults that stop everything; the median of the rounds.
*Lost and retried*: operations whose answer was lost, and whose retry got the first answer again.
*Acknowledged and lost*: operations that were answered 200 and are not in the log afterwards: only
those of the last second before a fault that takes away what the server had not written. Each
watcher that saw them was reset. *Connections*: the most that the server had at once, of a budget of
60.
"""
