"""`catalyst events replay`."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from catalyst_cli.api import Api
from catalyst_cli.confirm import confirm
from catalyst_cli.context import context
from catalyst_cli.failures import Failure
from catalyst_cli.output import Form, Output, err, show

_AGE = re.compile(r"(\d{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
COLUMNS = {"DAEMON": "daemon", "EVENTS": "events", "KEPT SINCE": "oldestTime"}


def replay(
    start: Annotated[str, typer.Option("--from", help="Moment, 2026-11-29T10:00:00Z, or how long ago, 90m, 1h, 2d.")],
    service: Annotated[str, typer.Option(help="Only events of this daemon, such as billing; empty: of all.")] = "",
    subjects: Annotated[str, typer.Option(help="Only subjects that begin so: catalyst.v1.billing.order.")] = "",
    aggregate: Annotated[str, typer.Option(help="Only events about this resource.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count them and send nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    output: Output = Form.TABLE,
) -> None:
    """Send events again from the outboxes, after NATS has lost some. Who handled an event before does nothing.

    Examples:

        catalyst events replay --from 1h --dry-run

        catalyst events replay --from 2026-11-29T10:00:00Z --service billing --yes
    """
    since = moment(start, datetime.now(UTC))
    if not dry_run:
        confirm(f"Send the events of {service or 'all daemons'} since {since} again?", yes=yes)
    body = {
        "startTime": since, "service": service, "subjectPrefix": subjects, "aggregate": aggregate,
        "validateOnly": dry_run,
    }  # fmt: skip
    answer = Api(context()).post("/v1/events:replay", body)
    show(output, answer, COLUMNS, answer["replays"])
    if not dry_run:
        err.print("they are on their way; to see them: catalyst events tail --from-start", markup=False)


def moment(text: str, now: datetime) -> str:
    """`1h` or a moment of RFC 3339, as the latter in UTC. Raises Failure."""
    if age := _AGE.fullmatch(text):
        since = now - timedelta(**{_UNITS[age[2]]: int(age[1])})
    else:
        try:
            since = datetime.fromisoformat(text)
        except ValueError as error:
            raise Failure(
                f"{text} is no moment", next_step="--from 2026-11-29T10:00:00Z, or how long ago: --from 1h", exit_code=2
            ) from error
        since = since if since.tzinfo else since.replace(tzinfo=UTC)
    return since.astimezone(UTC).isoformat().replace("+00:00", "Z")
