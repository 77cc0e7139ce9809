"""What the description of REST says beside the words of the contracts."""

INFO = """Everything that people need of the mesh, over HTTP and JSON.

- **Who asks**: `Authorization: Bearer TOKEN`; in development `catalyst dev status -o json` names the file that holds one.
- **What goes wrong** is a problem (RFC 9457): `reason` is one word that stays, `violations` name the fields.
- **A write that may be repeated** carries `Idempotency-Key` (or `requestId`): a repetition gets the first answer.
- **A change of what was read** carries its `etag`, or `If-Match`; one of before is `ETAG_MISMATCH`.
- **Lists** come in pages: `pageSize`, and `pageToken` from the answer's `nextPageToken`.
- **Slow work** answers an operation: ask `/v1/operations/…`, or follow its events.
- **Streams** are Server-Sent Events; `cursor` or `Last-Event-ID` goes on where a connection broke off.
"""
TAGS = {
    "Names": "Names under pool domains, as forms write them: each path is one call of AllocationService.",
    "Registrars": "Registrars and accounts there, as forms write them. A credential goes in and never comes out.",
    "Gateway": "What the gateway knows itself: the stream of events, search, operations, the audit line, GraphQL.",
}
QUERIES = {
    "pageSize": "How many at most; a page may be shorter.",
    "pageToken": "`nextPageToken` of the page before.",
    "topics": "Beginnings of subjects, separated by commas. Default: all that the caller may hear.",
    "cursor": "Id of the last event that was taken, after which the stream goes on; `0`: from the first. Default: from now on.",
    "q": "Words that are looked for in names, titles and states.",
    "kinds": "Kinds of things, separated by commas. Default: all.",
    "subject": "Who called.",
    "organization": "On whose behalf.",
    "traceId": "Trace of the call, 32 hexadecimal digits.",
    "reason": "For what reason: of a refusal its word, of a deletion yours.",
    "verb": "HTTP verb of the call.",
    "id": "Id of a kept query.",
    "variables": "Variables of the query, as a JSON object.",
    "wait": "Seconds, at most 25, until the name is active or the answer comes anyway.",
    "sub": "The label that is asked about.",
}
"""Parameters of the paths that are written by hand."""

BY_HAND = {
    "names.validate": "Checks a name, a registrar's credential or where a domain points, and changes nothing.",
    "names.reserve": "Holds a free name for a while; the answer's token commits or releases it.",
    "names.renew": "Holds a reserved name longer.",
    "names.commit": "Makes a reserved name lead to its targets.",
    "names.release": "Gives a name back: its records go, and after its quarantine it is free.",
    "names.force_release": "Takes a name away from its owner; whoever does it writes the name twice.",
    "names.delete": "Gives a name back, by its resource.",
    "names.check": "Whether a name can be reserved, and why not.",
    "names.reserved": "What a pool never hands out.",
    "names.events": "Streams what happens to names, as Server-Sent Events.",
    "registrars.all": "Lists the registrars that there are plugins for, and what each can do.",
    "registrars.one": "Shows one registrar: what it can do, and which credential it takes.",
    "registrars.validate": "Asks the registrar what a credential may do for a domain; nothing is kept.",
    "registrars.accounts": "Lists the kept accounts, without their credentials.",
    "registrars.create": "Keeps an account; its credential is sealed.",
    "registrars.account": "Shows one account, without its credential.",
    "registrars.change": "Changes an account's credential.",
    "registrars.delete": "Forgets an account and its credential.",
    "gateway.events": "Streams every event that the caller may hear, each once and in order, as Server-Sent Events.",
    "gateway.audit": "Lists writes and refusals, the newest first: who, what, on whose behalf, with which outcome.",
    "gateway.search": "Finds things by words, of those that the caller may see.",
    "gateway.plugins": "Lists the plugins of all daemons, with version and state.",
    "gateway.state": "Shows the things of an Environment as they are now, with the cursor from which a stream goes on.",
    "gateway.rebuild": "Builds the read model anew from the events, beside the old one.",
    "gateway.operation": "Shows how far slow work is, or how it ended.",
    "gateway.cancel_operation": "Asks slow work to stop at the next safe place.",
    "gateway.retry_operation": "Tries the failed step of slow work once more.",
    "gateway.query": "Answers a GraphQL query over the read model; what is too large is refused before it is executed.",
    "gateway.kept_query": "Answers a kept GraphQL query by its id.",
}
"""Their operations."""
