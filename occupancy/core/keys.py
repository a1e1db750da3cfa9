"""Every key and channel, in one place.

    occ:boards                      set     names of the boards that were created
    occ:{access}:workers            hash    id → worker (JSON)
    occ:{access}:tokens             hash    SHA-256 of a token → token (JSON)
    occ:{access}:sessions           hash    SHA-256 of a session's secret → session (JSON)
    occ:{access}:session_ends       zset    SHA-256 of a session's secret, by when it ends (s)
    occ:{access}:session_ends:ID    zset    the same, of one worker
    occ:{access}:session_ends|HASH  zset    the same, of those that one token has opened
    occ:{access}:uses               hash    SHA-256 of either → when it was last used (s)
    occ:{access}:opened:HASH        string  sessions opened with a token: even again when (ms)
    occ:{access}:opened:HASH|ADDR   string  the same, from one address
    occ:{access}:changes            string  counts the changes of anybody's access
    occ:{access}:link:HASH          string  one-time sign-in link: stamp and worker ('': the first)
    occ:{access}:invitation:RUN     string  a process of RUN has printed the link for the first one
    occ:{access}:ticket:HASH        string  ticket for a stream: whose it is; once used, for which
                                            address and board
    occ:{access}:notes              list    what the command line changed, for the trail (JSON)
    occ:{access}:renamed            hash    id → when (s, µs) a worker got a name that the items
                                            they hold may not show yet
    occ:{access}:rights             string  check_permissions.lua tries commands on it
    occ:{access}:failures:ID|ADDR   hash    wrong PINs of a worker at an address: failures,
                                            until_ms, number of the last attempt
    occ:{access}:failures:ID        hash    the same from everywhere
    occ:{access}:address:ADDR       string  PINs tried from an address: when it is even again (ms)
    occ:{access}:known:ID           zset    addresses from which a worker has signed in, by when (s)
    occ:{main}:board                hash    title, steps, max_holds, seq, cursor, floors,
                                            completions, log_filled_bytes
    occ:{main}:item:TAG             hash    one item, field by field: the truth
    occ:{main}:view                 hash    TAG → the item as the JSON that the outside sees
    occ:{main}:by_tag               zset    TAG               (all scores 0: ordered by member)
    occ:{main}:by_state             zset    STATE|TAG
    occ:{main}:by_holder            zset    WORKER|TAG
    occ:{main}:log                  stream  seq, event: the truth of what happened
    occ:{main}:log_marks            list    cursors at which a block of the log was full
    occ:{main}:samples              stream  STATE → items, completions: as five minutes began
    occ:{main}:history:TAG          stream  the item's own events, each with the item's version
    occ:{main}:idem:WORKER:HASH     string  first answer to an Idempotency-Key, for 24 h:
                                            codes and versions, not the items
    occ:{main}:rate:WHO             string  operations of a caller, an address: even again when (ms)
    occ:processes                   set     names of the worker processes
    occ:process:NAME                string  its statistics; expires when it stops reporting
    occ:reconciling                 string  a worker process has begun the check at the start
    occ:live:DB:main                channel each log entry as it is written:
                                            "previous cursor seq event"
    occ:access:DB                   channel "changes worker": the access of that worker has changed
    occ:canary:DB:PROCESS           channel proof that live delivery reaches that process

All keys of a board share its hash tag ``{main}``, so that a board lives on one shard of a
Redis/Valkey Cluster. ``|`` (0x7c) occurs in no state, tag or worker id, and the character after
it, ``}``, bounds a range: all of worker 93's items are the members from ``93|`` up to ``93}``.

Keys belong to a database of the server, channels to the whole server. So each channel names the
database, DB: deployments in two databases must not hear each other.
"""

from __future__ import annotations

import hashlib


class BoardKeys:
    """The keys of one board."""

    def __init__(self, prefix: str, board: str, database: int = 0) -> None:
        root = f"{prefix}:{{{board}}}"
        self.root = root
        self.board = f"{root}:board"
        self.view = f"{root}:view"
        self.by_tag = f"{root}:by_tag"
        self.by_state = f"{root}:by_state"
        self.by_holder = f"{root}:by_holder"
        self.log = f"{root}:log"
        self.log_marks = f"{root}:log_marks"
        self.samples = f"{root}:samples"
        self.channel = f"{prefix}:live:{database}:{board}"

    def item(self, tag: str) -> str:
        return f"{self.root}:item:{tag}"

    def history(self, tag: str) -> str:
        return f"{self.root}:history:{tag}"

    def idempotency(self, worker: str, key: str) -> str:
        """Hashed, so that the client's 255 characters neither collide nor bloat the key space."""
        return f"{self.root}:idem:{worker}:{hashlib.sha256(key.encode()).hexdigest()[:32]}"

    def rate(self, who: str) -> str:
        return f"{self.root}:rate:{who}"


class Keys:
    """The keys of one deployment, all under ``prefix``, in a ``database`` of the server."""

    def __init__(self, prefix: str, database: int = 0) -> None:
        self.prefix = prefix
        self.database = database
        self.boards = f"{prefix}:boards"
        self.workers = f"{prefix}:{{access}}:workers"
        access = f"{prefix}:{{access}}"
        self.tokens = f"{access}:tokens"
        self.sessions = f"{access}:sessions"
        self.session_ends = f"{access}:session_ends"
        self.uses = f"{access}:uses"
        self.changes = f"{access}:changes"
        self.notes = f"{access}:notes"
        self.renamed = f"{access}:renamed"
        self.rights = [f"{access}:rights", f"{access}:rights:none"]
        self._access = access
        self.processes = f"{prefix}:processes"
        self.reconciling = f"{prefix}:reconciling"
        self.access_channel = f"{prefix}:access:{database}"
        self.live_channel = f"{prefix}:live:{database}:"  # and a board
        self._of_board: dict[str, BoardKeys] = {}

    def board(self, name: str) -> BoardKeys:
        keys = self._of_board.get(name)
        if keys is None:
            keys = BoardKeys(self.prefix, name, self.database)
            if len(self._of_board) < 1000:  # names come from requests: do not let them pile up
                self._of_board[name] = keys
        return keys

    def process(self, name: str) -> str:
        return f"{self.prefix}:process:{name}"

    def canary_channel(self, process: str) -> str:
        return f"{self.prefix}:canary:{self.database}:{process}"

    def link(self, digest: str) -> str:
        return f"{self._access}:link:{digest}"

    def session_ends_of(self, worker: str, token: str | None = None) -> str:
        """Of a worker's sessions; with the hash of a ``token``, of those that it has opened."""
        return f"{self.session_ends}:{worker}" if token is None else f"{self.session_ends}|{token}"

    def token_sign_ins(self, token: str, address: str) -> list[str]:
        """When a token, by its hash, may open sessions again: in all, and from an address."""
        return [f"{self._access}:opened:{token}", f"{self._access}:opened:{token}|{address}"]

    def invitation(self, run: str) -> str:
        return f"{self._access}:invitation:{run}"

    def ticket(self, digest: str) -> str:
        return f"{self._access}:ticket:{digest}"

    def attempts(self, worker: str, address: str) -> list[str]:
        """The four keys of count_attempt.lua and clear_attempt.lua."""
        return [
            f"{self._access}:failures:{worker}|{address}",
            f"{self._access}:failures:{worker}",
            f"{self._access}:address:{address}",
            f"{self._access}:known:{worker}",
        ]
