"""Keys: the name of every key and channel on the server.

    occ:boards                      set     names of the boards that were created
    occ:{access}:workers            hash    id → worker (JSON)
    occ:{access}:tokens             hash    SHA-256 of a token → token (JSON)
    occ:{access}:sessions           hash    SHA-256 of a session's secret → session (JSON)
    occ:{access}:badges             hash    HMAC of a badge's code → badge (JSON)
    occ:{access}:badge_key          string  the key of that HMAC, random, made by the first badge
    occ:{access}:stations           hash    SHA-256 of a station's secret → station (JSON); until it
                                            is paired, of its link's secret
    occ:{access}:session_ends       zset    SHA-256 of a session's secret, by when it ends (s)
    occ:{access}:session_ends:ID    zset    the same, of one worker
    occ:{access}:session_ends|HASH  zset    the same, of those that one token has opened
    occ:{access}:uses               hash    hash of either, or of a badge → its last use (s)
    occ:{access}:opened:HASH        string  rate of sessions opened with a token (ms)
    occ:{access}:opened:HASH|ADDR   string  the same, from one address
    occ:{access}:changes            string  number of changes of any worker's access
    occ:{access}:link:HASH          string  one-time sign-in link: session generation and worker
                                            ('': the first)
    occ:{access}:links:ID           set     SHA-256 of the secrets of a worker's links
    occ:{access}:invitation:RUN     string  a process of RUN has printed the first worker's link
    occ:{access}:ticket:HASH        string  ticket for a stream: its worker; once used, its address
                                            and board
    occ:{access}:notes              list    changes by the command line, for the audit log (JSON)
    occ:{access}:audit:STREAM       stream  the audit trail, entry by entry (JSON); STREAM is
                                            changes, sign_ins or refusals
    occ:{access}:audit_bytes        hash    number of the stream → bytes of its entries
    occ:{access}:renamed            hash    id → time (s, µs) of a worker's new name that the items
                                            they hold may not show yet
    occ:{access}:removing           set     names of boards whose removal has not ended
    occ:{access}:rights             string  check_permissions.lua tries commands on it
    occ:{access}:failures:ID|ADDR   hash    wrong PINs of a worker at an address: failures,
                                            until_ms, number of the last attempt
    occ:{access}:failures:ID        hash    the same from everywhere; for unknown badges ID is
                                            "station:" and the station's id
    occ:{access}:address:ADDR       string  rate of PINs tried from an address (ms)
    occ:{access}:known:ID           zset    addresses from which a worker has signed in, by when (s)
    occ:{main}:board                hash    settings (title, steps, step_titles, item_name,
                                            max_holds, time_zone, shown_attributes, reasons) and
                                            their version; items at each step (at:STEP), if they
                                            are counted (steps_counted); seq, cursor, floors,
                                            completions, log_filled_bytes; incarnation of the
                                            server, cursor of its mark in the log (promoted); of a
                                            removed board only what must not come again, with the
                                            removal's id (removing) until it is swept; after a
                                            restore what versions count from (version_base)
    occ:{main}:item:TAG             hash    one item, field by field: the truth
    occ:{main}:view                 hash    TAG → the item as the JSON that the API answers
    occ:{main}:by_tag               zset    TAG               (all scores 0: ordered by member)
    occ:{main}:by_state             zset    STATE|TAG
    occ:{main}:by_holder            zset    WORKER|TAG
    occ:{main}:log                  stream  seq, event: the record of every change; or promotion:
                                            the mark of a new incarnation
    occ:{main}:log_marks            list    the last cursor of each full block of the log
    occ:{main}:samples              stream  STATE → items, completions: at the start of five minutes
    occ:{main}:history:TAG          stream  the item's own events
    occ:{main}:idem:WORKER:HASH     string  first answer to an Idempotency-Key, for 24 h:
                                            codes and versions, not the items
    occ:{main}:sweeper              string  a process sweeps the removed board
    occ:{main}:rights               string  as that of access, on another server of a Cluster
    occ:{main}:confirmed            string  written before the replicas are waited for; also with
                                            {access}
    occ:{main}:upload:ID            string  what an uploaded file is, for an hour (JSON)
    occ:{main}:upload:ID:N          string  500 of its records, packed, for as long
    occ:{main}:upload:ID:run        string  how far its import is, for as long (JSON)
    occ:{main}:upload:ID:added      string  tags of what it has added, for as long (JSON)
    occ:{main}:uploads              string  the last uploads, for as long (JSON)
    occ:{main}:mappings             string  the last mappings of columns, by header; a year (JSON)
    occ:{main}:rate:WHO             string  rate of operations, of a worker or an address (ms)
    occ:{access}:processes          set     names of the processes
    occ:{access}:process:NAME       string  statistics of a process; expires when it stops reporting
    occ:{access}:promotions         list    what processes saw of the promotions of a day (JSON)
    occ:{access}:promotion:ADDR:N   string  a process has counted this promotion
    occ:reconciling                 string  a process has begun the check at the start
    occ:restoring                   string  a restore has begun, and has not ended yet
    occ:version_base                string  what the versions of boards count from that are created
                                            after a restore
    occ:live:DB:main                channel each log entry as it is written:
                                            "previous cursor seq event"; in a Cluster
                                            occ:live:0:{main}, which is sharded
    occ:access:DB                   channel "changes worker": the access of that worker has changed;
                                            in a Cluster occ:access:0:{access}
    occ:canary:DB:PROCESS           channel proof that live delivery reaches that process

A rate is one time in milliseconds, that of the generic cell rate algorithm.

All keys of a board share its hash tag ``{main}``, so a board is on one shard of a Redis or Valkey
Cluster. No state, tag or worker id has a ``|`` (0x7c), and the next character, ``}``, bounds a
range: all of worker 93's items are the members from ``93|`` up to ``93}``.

Keys belong to a database of the server, channels to the whole server. So each channel has the
number of the database, DB: deployments in two databases must not receive each other's messages.
"""

from __future__ import annotations

import hashlib

RESERVED_BOARD = "access"  # its keys would have the hash tag, and so the names, of those of access


class BoardKeys:
    """The keys of one board."""

    def __init__(self, prefix: str, board: str, live_channel: str) -> None:
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
        self.uploads = f"{root}:uploads"
        self.mappings = f"{root}:mappings"
        self.of_imports = (f"{root}:upload", self.mappings)  # what the names of all begin with
        self.channel = live_channel
        self.rights = [f"{root}:rights", f"{root}:rights:none"]

    def item(self, tag: str) -> str:
        return f"{self.root}:item:{tag}"

    def history(self, tag: str) -> str:
        return f"{self.root}:history:{tag}"

    def idempotency(self, worker: str, key: str) -> str:
        """The key of an idempotency record; a hash, because the client's may be long."""
        return f"{self.root}:idem:{worker}:{hashlib.sha256(key.encode()).hexdigest()[:32]}"

    def upload(self, number: str, part: int | str | None = None) -> str:
        """An uploaded file; with ``part``, a chunk of its records, or what its import did."""
        return f"{self.root}:upload:{number}" + ("" if part is None else f":{part}")

    def rate(self, who: str) -> str:
        return f"{self.root}:rate:{who}"

    @property
    def sweeper(self) -> str:
        return f"{self.root}:sweeper"

    @property
    def idempotency_prefix(self) -> str:
        return f"{self.root}:idem:"


class Keys:
    """The keys of one deployment, all under ``prefix``, in a ``database`` of the server.

    In a Cluster channels are *sharded*: their hash tag puts them where their keys are.
    """

    def __init__(self, prefix: str, database: int = 0, *, is_sharded: bool = False) -> None:
        self.prefix = prefix
        self.database = database
        self.boards = f"{prefix}:boards"
        self.workers = f"{prefix}:{{access}}:workers"
        access = f"{prefix}:{{access}}"
        self.tokens = f"{access}:tokens"
        self.sessions = f"{access}:sessions"
        self.badges = f"{access}:badges"
        self.badge_key = f"{access}:badge_key"
        self.stations = f"{access}:stations"
        self.session_ends = f"{access}:session_ends"
        self.uses = f"{access}:uses"
        self.changes = f"{access}:changes"
        self.notes = f"{access}:notes"
        self.audit_bytes = f"{access}:audit_bytes"
        self.renamed = f"{access}:renamed"
        self.removing = f"{access}:removing"
        self.rights = [f"{access}:rights", f"{access}:rights:none"]
        self._access = access
        self.processes = f"{access}:processes"
        self.promotions = f"{access}:promotions"
        self.reconciling = f"{prefix}:reconciling"
        self.restoring = f"{prefix}:restoring"
        self.version_base = f"{prefix}:version_base"
        self.access_channel = f"{prefix}:access:{database}{':{access}' if is_sharded else ''}"
        self.live_channel = f"{prefix}:live:{database}:"  # and a board
        self.is_sharded = is_sharded
        self._of_board: dict[str, BoardKeys] = {}

    def board(self, name: str) -> BoardKeys:
        keys = self._of_board.get(name)
        if keys is None:
            tag = f"{{{name}}}" if self.is_sharded else name
            keys = BoardKeys(self.prefix, name, self.live_channel + tag)
            if len(self._of_board) < 1000:  # bounded, because names come from requests
                self._of_board[name] = keys
        return keys

    def process(self, name: str) -> str:
        return f"{self._access}:process:{name}"

    def promotion(self, server: str, incarnation: int) -> str:
        return f"{self._access}:promotion:{server}:{incarnation}"

    def canary_channel(self, process: str) -> str:
        return f"{self.prefix}:canary:{self.database}:{process}"

    def audit(self, stream: str) -> str:
        return f"{self._access}:audit:{stream}"

    def link(self, digest: str) -> str:
        return f"{self._access}:link:{digest}"

    def links_of(self, worker: str) -> str:
        return f"{self._access}:links:{worker}"

    def session_ends_of(self, worker: str, token: str | None = None) -> str:
        """The ends of a worker's sessions; with a ``token``'s hash, of those that it has opened."""
        return f"{self.session_ends}:{worker}" if token is None else f"{self.session_ends}|{token}"

    def token_sign_ins(self, token: str, address: str) -> list[str]:
        """The rates of sessions that a token, by its hash, opens: in all, and from an address."""
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
