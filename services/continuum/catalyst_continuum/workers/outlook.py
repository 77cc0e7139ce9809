"""What is before the table at one look: facts as they are known now, and nothing that is not."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from catalyst_sdk.continuum import DatabaseView, Role, SyncMode

from catalyst_continuum.domain import antiflap, failsafe, guard
from catalyst_continuum.domain.antiflap import Bounds, Move
from catalyst_continuum.domain.authority import Authority, Moment
from catalyst_continuum.domain.record import Lease
from catalyst_continuum.domain.runs import mark_of
from catalyst_continuum.domain.view import State, View

from .act import Acts
from .moves import Moves


class Outlook:
    """proven   authority of the life before this one, where the disk shows it; it counts only while the record agrees"""

    def __init__(
        self, acts: Acts, moves: Moves, history: Callable[[], tuple[Sequence[Move], float]], bounds: Bounds
    ) -> None:
        self._acts = acts
        self._moves = moves
        self._history = history
        self._bounds = bounds
        self.proven: Authority | None = None

    def view(self, now: Moment) -> View:
        """One look at everything."""
        acts, standing, sight, duty = self._acts, self._acts.standing, self._acts.sight, self._acts.duty
        lease, database = sight.lease, sight.database()
        if lease is not None and lease.holder == duty.region and lease.epoch > standing.epoch:
            standing.epoch = lease.epoch  # ours by the record; what may be done in it is another question
        view = View(
            standing.state, lease, readable=sight.is_readable, epoch=standing.epoch, authority=self._authority(lease),
            sent_at=standing.sent_at, claim=standing.claim, canary=standing.canary, fence=standing.proof,
            fence_began=standing.fence_began, promote_began=standing.promote_began, watch=sight.watch,
            promised_until=self.promised_until(lease), busy=self._moves.is_busy,
            reprotects=self._moves.reprotects,
        )  # fmt: skip
        planned, approved, forced = self._of_run()
        return replace(
            view, remembered=self._is_remembered(), run_is_mine=self._is_run_mine(lease), planned_run=planned,
            approved=approved, forced=forced, unwitnessed=self._moves.takes_unwitnessed, unconfirmed=standing.unconfirmed,
            holder_writes=self._holder_writes(lease),
            writable=database.writable if database is not None else None,
            was_primary=self._was_primary(database), failing=self._is_failing(now), target=self.target(),
            failover_allowed=self._is_allowed(now), sync_observed=self._sync(database), verified_at=acts.verified_at(),
            standby_ready=self._is_ready(database), replayed=database.replayed if database is not None else None,
            checks_pass=self._passes(lease, database), database_sound=database is not None and database.role is not None,
        )  # fmt: skip

    def target(self) -> str:
        """The first region to which this one may yield; empty: none."""
        sight, duty = self._acts.sight, self._acts.duty
        named = duty.of_bits(sight.lease.sync) if sight.lease is not None else frozenset()
        for region in duty.rivals:
            view = sight.report(region)
            is_current = region in named or duty.sync is not SyncMode.REQUIRED
            if is_current and view is not None and view.role is Role.REPLICA and view.ready is True:
                return region
        return ""

    def _authority(self, lease: Lease | None) -> Authority | None:
        standing = self._acts.standing
        if standing.state is not State.BOOTING or self.proven is None:
            return standing.authority
        if standing.unconfirmed is not None:
            return self.proven if self.proven.epoch == standing.unconfirmed.epoch else None
        if lease is None:
            return standing.authority
        mark, gave = mark_of(lease.phase), self._acts.memory.read(self._acts.duty.slot).gave
        if gave == lease.epoch and (mark is None or not mark.is_sources):
            return None  # the database here leads in this epoch no more, and no planned run goes on from that
        return self.proven if self.proven.epoch == lease.epoch else None

    def _holder_writes(self, lease: Lease | None) -> bool | None:
        view = self._acts.sight.report(lease.holder) if lease is not None else None
        return view.writable if view is not None else None

    def promised_until(self, lease: Lease | None) -> float:
        """From when this region may act on a grant, on its clock; 0: at once."""
        standing, duty = self._acts.standing, self._acts.duty
        kept = self._acts.memory.read(duty.slot)
        # Whoever was promoted in this epoch has waited for its promises before; and nobody held the slot before the first one.
        waited = lease is not None and lease.holder == duty.region and lease.epoch in (kept.led, kept.waited, 1)
        peer = failsafe.Peer(lease.epoch if lease else 0, False, standing.started_at, standing.promise)
        return 0.0 if waited else failsafe.may_claim_from(peer, longest=duty.profile.ttl)

    def _is_remembered(self) -> bool | None:
        acts = self._acts
        if acts.memory.read(acts.duty.slot).epoch:
            return True
        told = [acts.sight.report(region) for region in acts.duty.rivals]
        if any(view is not None and view.epoch for view in told):
            return True
        return None if None in told else False

    def _is_run_mine(self, lease: Lease | None) -> bool:
        if self._acts.standing.state is State.PROMOTING and not self._moves.is_busy:
            return True
        return self._moves.is_mine(lease)

    def _of_run(self) -> tuple[bool, bool | None, bool]:
        """Whether a planned run waits to be begun here; whether what waits is approved: else it would not wait here; by force."""
        ordered, region = self._moves.ordered, self._acts.duty.region
        if ordered is None:
            return False, None, False
        planned = ordered.kind.is_planned and ordered.source == region
        takes = not ordered.kind.is_planned and ordered.target == region
        return planned, planned or ordered.target == region, takes and ordered.force

    def _was_primary(self, database: DatabaseView | None) -> bool | None:
        if database is None or database.role is None:
            return None
        return database.role is not Role.REPLICA

    def _is_failing(self, now: Moment) -> bool | None:
        since = self._acts.standing.failing_since
        return since is not None and now.boot - since >= self._acts.duty.fails_after

    def _is_allowed(self, now: Moment) -> bool:
        """Moves that a person ordered are free of the bounds."""
        if self._moves.ordered is not None:
            return True
        moves, acknowledged_at = self._history()
        kept = self._acts.memory.read(self._acts.duty.slot)
        if kept.lost_at:
            moves = (*moves, Move(kept.lost_at, self._acts.duty.region, ""))
        why = antiflap.bar(moves, self._acts.duty.region, self._bounds, now.wall, acknowledged_at)
        self._acts.standing.trouble.pop("anti-flap", None)
        if why:
            self._acts.say("anti-flap", why)
        return not why

    def _sync(self, database: DatabaseView | None) -> str | None:
        if database is None or database.role is not Role.PRIMARY or database.sync is None:
            return None
        return self._acts.duty.bits(database.sync)

    def _is_ready(self, database: DatabaseView | None) -> bool | None:
        """Whether the database here may become primary: it follows, knows its log, and is a copy of the holder's."""
        duty, lease = self._acts.duty, self._acts.sight.lease
        if database is None or database.ready is None or database.replayed is None:
            return None
        if database.role is not Role.REPLICA or not database.ready or not duty.may_lead(duty.region):
            return False
        if database.system_id is None or lease is None:
            return True
        told = self._acts.sight.report(lease.holder, float("inf")) if lease.holder in duty.others else None
        if told is not None and told.system_id is not None:
            self._acts.remember_system(told.system_id)
        kept = self._acts.memory.read(duty.slot).system_id
        return database.system_id == kept if kept else None

    def _passes(self, lease: Lease | None, database: DatabaseView | None) -> bool | None:
        ordered = self._moves.ordered
        if ordered is not None and ordered.accept_data_loss:
            return True
        if lease is None:
            return None
        return guard.loses_little(self._acts.duty, lease, database.committed_ms if database is not None else None)
