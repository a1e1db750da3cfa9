"""Credentials in each state, and what each is worth then."""

from __future__ import annotations

import dataclasses
import secrets
import time
from collections.abc import Callable

from occupancy.access.sessions import CONFIRMED_S
from occupancy.core.entities import Role
from occupancy.core.principal import Credential as StoredCredential
from occupancy.core.principal import digest_of
from proof.access.calls import EVENTS_PATH, PIN
from proof.access.credentials import CSRF, AtStation, Credential, Maker, bearer
from proof.access.expected import NOTHING, Holds
from proof.access.site import BOARD, OTHER_BOARD


class Credentials(Maker):
    """Makes a credential of each kind for a worker of its own."""

    def make(self, state: str, role: str) -> Credential:
        """A new credential in ``state``; where it is worth something, with ``role``."""
        return STATES[state](self, role)

    # Tokens

    def token(self, role: str) -> Credential:
        worker, secret, _ = self._token(role)
        return Credential(worker, [bearer(secret), {"authorization": f"bearer  {secret}"}],
                          Holds(role))  # fmt: skip

    def narrowed_token(self, role: str) -> Credential:
        worker, secret, _ = self._token("admin", role=Role.of(role))
        return Credential(worker, [bearer(secret)], Holds(role))

    def token_of_board(self, role: str) -> Credential:
        worker, secret, _ = self._token(role, board=BOARD)
        return Credential(worker, [bearer(secret)], Holds(role, board=BOARD))

    def token_of_other_board(self, role: str) -> Credential:
        worker, secret, _ = self._token(role, board=OTHER_BOARD)
        return Credential(worker, [bearer(secret)], Holds(role, board=OTHER_BOARD))

    def revoked_token(self, role: str) -> Credential:
        worker, secret, token = self._token(role)
        return self._ended(worker, secret, role, lambda: self._services.tokens.revoke(token.id))

    def token_of_disabled(self, role: str) -> Credential:
        worker, secret, _ = self._token(role)
        return self._ended(worker, secret, role, lambda: self._disable(worker))

    def expired_token(self, role: str) -> Credential:
        worker, secret, _ = self._token(role)
        made = self._ended(
            worker, secret, role,
            lambda: self._store(self._services.store.keys.tokens, secret, expires_s=1),
        )  # fmt: skip
        made.ends_silently = True
        return made

    def token_of_lowered(self, role: str) -> Credential:
        worker, secret, _ = self._token("admin")
        return Credential(
            worker, [bearer(secret)], Holds(role), before=Holds("admin"),
            end=lambda: self._services.workers.edit(worker, role=role),
        )  # fmt: skip

    def token_of_elsewhere(self, role: str) -> Credential:
        worker = f"w-{secrets.token_hex(4)}"
        self._elsewhere.workers.add(worker, name=worker, role=Role.of(role))
        return Credential(worker, [bearer(self._elsewhere.tokens.create(worker)[0])], NOTHING)

    def malformed(self, role: str) -> Credential:
        """What is none, or of another kind, or sent in another way."""
        worker, secret, _ = self._token(role)
        own, session = self._session(worker)
        link = self._services.links.create(worker)
        csrf = {CSRF: session.csrf_token}
        texts = [
            f"Basic {secret}", secret, "Bearer", "Bearer ", f"Bearer{secret}", f"Bearer {secret}x",
            f"Bearer {secret[:-1]}", f"Bearer x {secret}", f"Bearer {secret.upper()}",
            f"Bearer {digest_of(secret)}", f"Bearer {own}", f"Bearer {link}", f"Token {secret}",
            f'Bearer "{secret}"', f"Bearer {secret},", "Bearer " + "x" * 4000,
        ]  # fmt: skip
        cookies = [
            "", "x", secret, link, session.id, session.csrf_token, digest_of(own), own[:-1],
            own.upper(), own + "x",
        ]  # fmt: skip
        return Credential(
            worker,
            [
                {},
                *({"Authorization": each} for each in texts),
                *({"Cookie": f"{self._cookie}={each}", **csrf} for each in cookies),
                {"Cookie": f"__Host-{self._cookie}={own}", **csrf},
                {"Cookie": f"{self._cookie}={own}", **csrf, "Authorization": "Bearer x"},
                {"X-Api-Key": secret}, {"Proxy-Authorization": f"Bearer {secret}"},
            ],
            NOTHING,
        )  # fmt: skip

    # Sessions

    def session(self, role: str) -> Credential:
        worker = self._worker(role)
        return self._by_cookie(worker, *self._session(worker), Holds(role))

    def session_by_old_name(self, role: str) -> Credential:
        worker = self._worker(role)
        own, session = self._session(worker)
        return self._by_cookie(worker, own, session, Holds(role), name="occupancy")

    def session_by_token(self, role: str) -> Credential:
        worker, secret, _ = self._token("admin", role=Role.of(role))
        return self._by_cookie(worker, *self._wall(secret), Holds(role), is_wall=True)

    def session_without_csrf(self, role: str) -> Credential:
        worker = self._worker(role)
        own, session = self._session(worker)
        _, older = self._session(worker)
        _, others = self._session(self._worker(role))
        cookie = {"Cookie": f"{self._cookie}={own}"}
        sent = ("", "x", older.csrf_token, others.csrf_token, session.csrf_token[:-1], session.id)
        return Credential(
            worker, [cookie, *({**cookie, CSRF: each} for each in sent)],
            Holds(role, is_cookie=True, has_csrf=False, is_own_sign_in=True),
        )  # fmt: skip

    def session_from_foreign_page(self, role: str) -> Credential:
        worker = self._worker(role)
        own, session = self._session(worker)
        cookie = {"Cookie": f"{self._cookie}={own}", CSRF: session.csrf_token}
        pages = [
            {"Origin": "http://evil.example"}, {"Origin": "null"},
            {"Origin": f"http://127.0.0.1:{self._site.port + 1}"},
            {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
        ]  # fmt: skip
        return Credential(
            worker, [{**cookie, **each} for each in pages],
            Holds(role, is_cookie=True, has_csrf=False, is_own_sign_in=True,
                  is_from_elsewhere=True),
        )  # fmt: skip

    def signed_out_session(self, role: str) -> Credential:
        made = self.session(role)
        headers = dict(made.variants[0])
        return self._ended_session(
            made, lambda: self._sender.send("DELETE", "/api/session", headers)
        )

    def session_signed_out_everywhere(self, role: str) -> Credential:
        made = self.session(role)
        return self._ended_session(made, lambda: self._services.workers.sign_out(made.worker))

    def session_of_revoked_token(self, role: str) -> Credential:
        worker, secret, token = self._token("admin", role=Role.of(role))
        made = self._by_cookie(worker, *self._wall(secret), Holds(role), is_wall=True)
        return self._ended_session(made, lambda: self._services.tokens.revoke(token.id))

    def session_before_new_pin(self, role: str) -> Credential:
        made = self.session(role)
        return self._ended_session(
            made, lambda: self._services.workers.edit(made.worker, pin_hash="another")
        )

    def session_of_disabled(self, role: str) -> Credential:
        made = self.session(role)
        return self._ended_session(made, lambda: self._disable(made.worker))

    def session_of_lowered(self, role: str) -> Credential:
        made = self.session("admin")
        made.before, made.holds = made.holds, Holds(role, is_cookie=True, is_own_sign_in=True)
        made.end = lambda: self._services.workers.edit(made.worker, role=role)
        return made

    def idle_session(self, role: str) -> Credential:
        return self._session_that(role, created_s=1)

    def session_that_is_over(self, role: str) -> Credential:
        return self._session_that(role, ends_s=1)

    def replaced_session(self, role: str) -> Credential:
        made, other = self.session(role), self._worker("observer")
        body = {"token": self._services.links.create(other)}
        headers = dict(made.variants[0])
        return self._ended_session(
            made, lambda: self._sender.send("POST", "/api/session", headers, body)
        )

    def session_of_elsewhere(self, role: str) -> Credential:
        worker = f"w-{secrets.token_hex(4)}"
        self._elsewhere.workers.add(worker, name=worker, role=Role.of(role))
        link = self._elsewhere.links.create(worker)
        own, session = self._elsewhere.sign_in.with_link(link, address="127.0.0.1")
        made = self._by_cookie(worker, own, session, Holds(role))
        cookies = {self._cookie, self._elsewhere.settings.cookie_name, "occupancy"}
        made.variants = [
            {"Cookie": f"{each}={own}", CSRF: session.csrf_token} for each in cookies
        ]  # fmt: skip
        return Credential(worker, made.variants, NOTHING)

    def _session_that(self, role: str, **changes: int) -> Credential:
        made = self.session(role)
        secret = made.variants[0]["Cookie"].partition("=")[2]

        def end() -> None:
            self._store(self._services.store.keys.sessions, secret, **changes)
            self._services.store.client.hdel(self._services.store.keys.uses, digest_of(secret))

        made.ends_silently = True
        return self._ended_session(made, end)

    # Badges and stations

    def station(self, role: str) -> Credential:
        secret, station = self._station()
        return self._of_station(role, secret, station.csrf_token)

    def station_of_other_board(self, role: str) -> Credential:
        secret, station = self._station(OTHER_BOARD)
        made = self._of_station(role, secret, station.csrf_token)
        made.holds = dataclasses.replace(made.holds, board=OTHER_BOARD)
        return made

    def station_without_csrf(self, role: str) -> Credential:
        secret, _ = self._station()
        made = self._of_station(role, secret, "")
        made.variants = [{"Cookie": made.variants[0]["Cookie"]}, made.variants[0]]
        made.holds = dataclasses.replace(made.holds, has_csrf=False)
        return made

    def revoked_station(self, role: str) -> Credential:
        secret, station = self._station()
        made = self._of_station(role, secret, station.csrf_token)
        return self._ended_session(made, lambda: self._services.stations.revoke(station.id))

    def station_that_is_not_paired(self, role: str) -> Credential:
        link, station = self._services.stations.create("proof", by="proof")
        made = self._of_station(role, link, station.csrf_token)
        made.holds = NOTHING
        return made

    def badge_session(self, role: str) -> Credential:
        return self._by_badge(self._at_station(role), role)

    def badge_session_at_other_board(self, role: str) -> Credential:
        made = self._by_badge(self._at_station(role, OTHER_BOARD), role)
        made.holds = dataclasses.replace(made.holds, board=OTHER_BOARD)
        return made

    def badge_session_confirmed(self, role: str) -> Credential:
        return self._confirmed(self._at_station(role), role)

    def badge_session_confirmed_long_ago(self, role: str) -> Credential:
        at = self._at_station(role)
        made, worth = self._confirmed(at, role), self._by_badge(at, role).holds
        secret = made.variants[0]["Cookie"].partition("=")[2]
        began_s = int(time.time()) - CONFIRMED_S - 1
        made.before, made.holds, made.ends_silently = made.holds, worth, True
        made.end = lambda: self._store(
            self._services.store.keys.sessions, secret, created_s=began_s
        )
        return made

    def badge_session_of_removed_badge(self, role: str) -> Credential:
        at = self._at_station(role)
        made = self._by_badge(at, role)
        return self._ended_session(made, lambda: self._services.badges.remove(at.worker, at.badge))

    def badge_session_of_revoked_station(self, role: str) -> Credential:
        at = self._at_station(role)
        made = self._confirmed(at, role)
        return self._ended_session(made, lambda: self._services.stations.revoke(at.station))

    def badge_session_of_disabled(self, role: str) -> Credential:
        at = self._at_station(role)
        made = self._by_badge(at, role)
        return self._ended_session(made, lambda: self._disable(at.worker))

    def _of_station(self, role: str, secret: str, csrf_token: str) -> Credential:
        headers = {"Cookie": f"{self._cookie}-station={secret}", CSRF: csrf_token}
        worth = Holds("observer", is_cookie=True, is_station=True)
        return Credential(self._worker(role), [headers], worth)

    def _by_badge(self, at: AtStation, role: str) -> Credential:
        made = self._by_cookie(at.worker, at.own, at.session, Holds(role))
        is_above = role in ("supervisor", "admin")
        made.holds = Holds(
            "worker" if is_above else role, is_cookie=True, is_badge=True,
            role_with_pin=role if is_above else None,
        )  # fmt: skip
        return made

    def _confirmed(self, at: AtStation, role: str) -> Credential:
        known = self._services.authenticator.identify(
            StoredCredential("session", digest_of(at.own))
        )
        own, session = self._services.sign_in.confirmed(
            known, PIN, address="127.0.0.1", instead_of=at.own
        )
        made = self._by_cookie(at.worker, own, session, Holds(role))
        made.holds = Holds(role, is_cookie=True, is_badge=True)
        return made

    # Tickets

    def ticket(self, role: str) -> Credential:
        worker, secret, _ = self._token(role)
        return Credential(
            worker, [{}], Holds(role, is_ticket=True), query=self._ticket(secret),
        )  # fmt: skip

    def ticket_at_another_address(self, role: str) -> Credential:
        made = self.ticket(role)
        self._use(EVENTS_PATH + made.query)
        made.source, made.holds = "127.0.0.2", NOTHING
        return made

    def ticket_of_another_board(self, role: str) -> Credential:
        made = self.ticket(role)
        self._use(EVENTS_PATH.replace(BOARD, OTHER_BOARD) + made.query)
        made.holds = NOTHING
        return made

    def expired_ticket(self, role: str) -> Credential:
        made = self.ticket(role)
        key = self._services.store.keys.ticket(digest_of(made.query.rpartition("=")[2]))
        assert self._services.store.client.delete(key)
        made.holds = NOTHING
        return made

    def ticket_of_revoked_token(self, role: str) -> Credential:
        worker, secret, token = self._token(role)
        made = Credential(worker, [{}], NOTHING, query=self._ticket(secret))
        self._use(EVENTS_PATH + made.query)
        self._services.tokens.revoke(token.id)
        return made


STATES: dict[str, Callable[[Credentials, str], Credential]] = {
    "token": Credentials.token,
    "token, narrowed to a role": Credentials.narrowed_token,
    "token of the board": Credentials.token_of_board,
    "token of another board": Credentials.token_of_other_board,
    "token, revoked": Credentials.revoked_token,
    "token of a disabled worker": Credentials.token_of_disabled,
    "token, expired": Credentials.expired_token,
    "token of a worker with a lower role now": Credentials.token_of_lowered,
    "token of another deployment": Credentials.token_of_elsewhere,
    "malformed": Credentials.malformed,
    "session": Credentials.session,
    "session by its cookie's old name": Credentials.session_by_old_name,
    "session opened with a token": Credentials.session_by_token,
    "session without its CSRF token": Credentials.session_without_csrf,
    "session, from a page of another site": Credentials.session_from_foreign_page,
    "session, signed out": Credentials.signed_out_session,
    "session, signed out everywhere": Credentials.session_signed_out_everywhere,
    "session of a revoked token": Credentials.session_of_revoked_token,
    "session from before a new PIN": Credentials.session_before_new_pin,
    "session of a disabled worker": Credentials.session_of_disabled,
    "session of a worker with a lower role now": Credentials.session_of_lowered,
    "session, idle too long": Credentials.idle_session,
    "session, over": Credentials.session_that_is_over,
    "session, replaced": Credentials.replaced_session,
    "session of another deployment": Credentials.session_of_elsewhere,
    "station": Credentials.station,
    "station of another board": Credentials.station_of_other_board,
    "station without its CSRF token": Credentials.station_without_csrf,
    "station, revoked": Credentials.revoked_station,
    "station, not paired": Credentials.station_that_is_not_paired,
    "session by badge": Credentials.badge_session,
    "session by badge, at a station of another board": Credentials.badge_session_at_other_board,
    "session by badge, confirmed": Credentials.badge_session_confirmed,
    "session by badge, confirmed long ago": Credentials.badge_session_confirmed_long_ago,
    "session by badge, badge removed": Credentials.badge_session_of_removed_badge,
    "session by badge, station revoked": Credentials.badge_session_of_revoked_station,
    "session by badge of a disabled worker": Credentials.badge_session_of_disabled,
    "ticket": Credentials.ticket,
    "ticket at another address": Credentials.ticket_at_another_address,
    "ticket of another board": Credentials.ticket_of_another_board,
    "ticket, expired": Credentials.expired_ticket,
    "ticket of a revoked token": Credentials.ticket_of_revoked_token,
}
