"""A fake of Namecheap's API, after its public documentation: one address, commands, XML, status 200 for everything."""

from xml.sax.saxutils import escape, quoteattr

from catalyst_testkit.fake_registrar import FakeAnswer, FakeDomain, FakeRegistrar, FakeRequest

USER, KEY, IP = "acmeuser", "canary-key-0123456789abcdef", "192.0.2.10"
_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<ApiResponse xmlns="http://api.namecheap.com/xml.response" Status="{}">'
)


class FakeNamecheap(FakeRegistrar):
    """allowed   addresses from which it answers
    seen_from    the address that it sees; None: the one that the client states
    error        number and sentence with which everything is answered
    own_dns      the domain is on Namecheap's name servers
    owner, all   rights of the account
    """

    def __init__(self) -> None:
        super().__init__()
        self.allowed = [IP]
        self.seen_from: str | None = None
        self.error: tuple[str, str] | None = None
        self.own_dns = False
        self.records: list[tuple[str, str, str, str]] = []
        """Name, type, address and preference of each host record."""
        self.owner, self.all = "true", "false"
        self.status = "Ok"

    def answer(self, request: FakeRequest) -> FakeAnswer:
        q = {name.lower(): value for name, value in request.query.items()}
        command = q.get("command", "")
        if self.error:
            return refused(*self.error)
        if q.get("apikey") != KEY or q.get("apiuser") != USER:
            return refused("1011102", "API Key is invalid or API access has not been enabled")
        if (self.seen_from or q.get("clientip", "")) not in self.allowed:
            return refused("1011150", f"Invalid request IP: {self.seen_from or q.get('clientip')}")
        name = q.get("domainname") or f"{q.get('sld')}.{q.get('tld')}"
        domain = self.domains.get(name)
        if domain is None:
            code = "2030280" if command.endswith("dns.getList") else "2019166"
            return refused(code, "Domain not found")
        answers = {
            "namecheap.domains.getInfo": self._info,
            "namecheap.domains.dns.getList": self._list,
            "namecheap.domains.dns.setCustom": self._set,
            "namecheap.domains.dns.getHosts": self._hosts,
            "namecheap.domains.ns.getInfo": self._server,
            "namecheap.domains.ns.create": self._create,
            "namecheap.domains.ns.update": self._update,
        }  # fmt: skip - a table
        if command not in answers:
            return refused("1010104", "Parameter Command is Invalid")
        try:
            return told(command, answers[command](name, domain, q))
        except RegistryError as error:
            return refused("3031510", str(error))

    def _info(self, name: str, domain: FakeDomain, q: dict[str, str]) -> str:
        rights = f'<Modificationrights All="{self.all}"><Rights Type="hosts">OK</Rights></Modificationrights>'
        return (
            f'<DomainGetInfoResult Status="{self.status}" ID="57582" DomainName={quoteattr(name)} OwnerName="{USER}" '
            f'IsOwner="{self.owner}">{rights}</DomainGetInfoResult>'
        )

    def _list(self, name: str, domain: FakeDomain, q: dict[str, str]) -> str:
        servers = "".join(f"<Nameserver>{escape(host)}</Nameserver>" for host in domain.ns)
        own = str(self.own_dns).lower()
        return (
            f'<DomainDNSGetListResult Domain={quoteattr(name)} IsUsingOurDNS="{own}">{servers}</DomainDNSGetListResult>'
        )

    def _hosts(self, name: str, domain: FakeDomain, q: dict[str, str]) -> str:
        rows = "".join(
            f'<host HostId="{n}" Name={quoteattr(host)} Type="{kind}" Address={quoteattr(value)} MXPref="{pref}" '
            'TTL="1800" AssociatedAppTitle="" FriendlyName="" IsActive="true" IsDDNSEnabled="false" />'
            for n, (host, kind, value, pref) in enumerate(self.records)
        )
        own = str(self.own_dns).lower()
        return (
            f'<DomainDNSGetHostsResult Domain={quoteattr(name)} IsUsingOurDNS="{own}">{rows}</DomainDNSGetHostsResult>'
        )

    def _set(self, name: str, domain: FakeDomain, q: dict[str, str]) -> str:
        done = str(not self.is_deaf).lower()
        self.change(domain, ns=q["nameservers"].split(","))
        return f'<DomainDNSSetCustomResult Domain={quoteattr(name)} Updated="{done}" />'

    def _server(self, name: str, domain: FakeDomain, q: dict[str, str]) -> str:
        host = q["nameserver"]
        if host not in domain.glue:
            raise RegistryError(f"Nameserver {host} not found")
        statuses = "<NameserverStatuses><Status>OK</Status><Status>Linked</Status></NameserverStatuses>"
        return _result("Info", name, host, f'IP="{domain.glue[host][0]}"', statuses)

    def _create(self, name: str, domain: FakeDomain, q: dict[str, str]) -> str:
        host = q["nameserver"]
        if host in domain.glue or not host.endswith(f".{name}"):
            raise RegistryError(f"Nameserver {host} cannot be created")
        self.change(domain, glue={**domain.glue, host: [q["ip"]]})
        return _result("Create", name, host, f'IP="{q["ip"]}" IsSuccess="{str(not self.is_deaf).lower()}"')

    def _update(self, name: str, domain: FakeDomain, q: dict[str, str]) -> str:
        host = q["nameserver"]
        if domain.glue.get(host) != [q["oldip"]]:
            raise RegistryError(f"Nameserver {host} has not the address {q['oldip']}")
        self.change(domain, glue={**domain.glue, host: [q["ip"]]})
        return _result("Update", name, host, f'IsSuccess="{str(not self.is_deaf).lower()}"')


class RegistryError(Exception):
    """The registry behind Namecheap says no."""


def _result(kind: str, name: str, host: str, rest: str, inside: str = "") -> str:
    head = f"<DomainNS{kind}Result Domain={quoteattr(name)} Nameserver={quoteattr(host)} {rest}"
    return f"{head}>{inside}</DomainNS{kind}Result>" if inside else f"{head} />"


def told(command: str, result: str) -> FakeAnswer:
    body = f'<Errors /><CommandResponse Type="{command}">{result}</CommandResponse><Server>S</Server></ApiResponse>'
    return FakeAnswer(200, _HEAD.format("OK") + body, "text/xml; charset=utf-8")


def refused(number: str, sentence: str) -> FakeAnswer:
    body = f'<Errors><Error Number="{number}">{escape(sentence)}</Error></Errors><Server>S</Server></ApiResponse>'
    return FakeAnswer(200, _HEAD.format("ERROR") + body, "text/xml; charset=utf-8")
