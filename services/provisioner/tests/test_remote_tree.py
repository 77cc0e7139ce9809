"""The tree in a repository of the owner's own: a real one, served by Git itself over HTTP with a login."""

import base64
import os
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst.provisioner.v1 import service_pb2 as rpc
from catalyst.provisioner.v1 import service_pb2_grpc as stubs
from catalyst_provisioner import signing
from catalyst_provisioner.domain.credentials import CredentialInvalid
from catalyst_provisioner.domain.remotes import SCHEMA, Remote
from catalyst_provisioner.pushing import Change, push
from catalyst_sdk import Permanent, Temporary
from catalyst_sdk.credentials import Credential
from catalyst_testkit.daemons import reason_of
from catalyst_testkit.dumps import dump
from catalyst_testkit.servers import need

from .conftest import Bench
from .test_refusals import wrong_fields
from .test_waiting import blocked

CANARY = "p4ssw0rd-c4n4ry"
OURS = "clusters/a.example"


def git(folder: Path, *words: str, given: str = "") -> str:
    who = {f"GIT_{role}_{what}": f"{role}@x.example" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1", **who}
    command = ["git", "-C", str(folder), *words]
    return subprocess.run(command, env=env, input=given, capture_output=True, text=True, check=True).stdout.strip()


class Home:
    """A bare repository behind `git http-backend`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.password = CANARY
        self.before_push: list[tuple[str, str]] = []
        """Path and content of what somebody else commits just before the next pushes arrive."""
        folder.mkdir()
        git(folder, "init", "-q", "--bare", "-b", "main", "trees.git")
        self.repository = folder / "trees.git"
        git(self.repository, "config", "http.receivepack", "true")
        home = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None: ...

            def do_GET(self) -> None:
                home.answer(self)

            do_POST = do_GET  # noqa: N815 - the base class wants this name

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/trees.git"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def commit(self, path: str, content: str) -> None:
        """Somebody else writes to the branch."""
        blob = git(self.repository, "hash-object", "-w", "--stdin", given=content)
        has = subprocess.run(["git", "-C", str(self.repository), "rev-parse", "-q", "--verify", "main"], check=False,
                             capture_output=True, text=True).stdout.strip()  # fmt: skip
        index = {"GIT_INDEX_FILE": str(self.folder / "index")}
        os.environ.update(index)
        try:
            command = ["git", "-C", str(self.repository)]
            subprocess.run([*command, "read-tree", *([has] if has else ["--empty"])], check=True)
            subprocess.run([*command, "update-index", "--add", "--cacheinfo", f"100644,{blob},{path}"], check=True)
            tree = subprocess.run([*command, "write-tree"], check=True, capture_output=True, text=True).stdout.strip()
        finally:
            del os.environ["GIT_INDEX_FILE"]
        made = git(self.repository, "commit-tree", tree, *(["-p", has] if has else []), "-m", "theirs")
        git(self.repository, "update-ref", "refs/heads/main", made)

    def files(self) -> dict[str, str]:
        names = git(self.repository, "ls-tree", "-r", "--name-only", "main").split()
        return {name: git(self.repository, "show", f"main:{name}") for name in names}

    def answer(self, asked: BaseHTTPRequestHandler) -> None:
        login = base64.b64encode(f"flux:{self.password}".encode()).decode()
        if asked.headers.get("Authorization") != f"Basic {login}":
            asked.send_response(401)
            asked.send_header("WWW-Authenticate", 'Basic realm="git"')
            asked.send_header("Content-Length", "0")
            asked.end_headers()
            return
        if asked.path.endswith("/git-receive-pack") and self.before_push:
            self.commit(*self.before_push.pop(0))
        path, _, query = asked.path.partition("?")
        length = int(asked.headers.get("Content-Length") or 0)
        env = {
            "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(self.folder), "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path,
            "QUERY_STRING": query, "REQUEST_METHOD": asked.command, "REMOTE_USER": "flux", "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_TYPE": asked.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(length),
            "HTTP_CONTENT_ENCODING": asked.headers.get("Content-Encoding", ""),
        }  # fmt: skip
        body = _chunks(asked) if asked.headers.get("Transfer-Encoding") == "chunked" else asked.rfile.read(length)
        env["CONTENT_LENGTH"] = str(len(body))
        said = subprocess.run(["git", "http-backend"], env=env, input=body, capture_output=True, check=True).stdout
        head, _, rest = said.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        asked.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in {**headers, "Content-Length": str(len(rest))}.items():
            asked.send_header(name, value)
        asked.end_headers()
        asked.wfile.write(rest)


def _chunks(asked: BaseHTTPRequestHandler) -> bytes:
    body = b""
    while size := int(asked.rfile.readline(), 16):
        body += asked.rfile.read(size)
        asked.rfile.readline()
    asked.rfile.readline()
    return body


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path / "git")
    yield made
    made.close()


def login(password: str = CANARY) -> Credential:
    return Credential({"username": "flux", "password": password}, SCHEMA)


def change(**files: str) -> Change:
    return Change(OURS, {f"{OURS}/{name}": text.encode() for name, text in files.items()}, "plan", 1_700_000_000)


def pushed(at: Home, tmp_path: Path, wished: Change, password: str = CANARY) -> str:
    remote = Remote(at.url, "main", "Ops <ops@a.example>", "credentials/trees")
    return push(tmp_path / "copies", remote, login(password), wished)


def test_our_folder_alone_is_kept_as_wished_and_an_equal_one_makes_no_commit(at: Home, tmp_path: Path) -> None:
    assert pushed(at, tmp_path, change()) == "", "there is no branch, and nothing to put on one"
    at.commit("README", "theirs")
    first = pushed(at, tmp_path, change(a="1", b="2"))
    assert at.files() == {"README": "theirs", f"{OURS}/a": "1", f"{OURS}/b": "2"}
    assert git(at.repository, "log", "-1", "--format=%an <%ae> %s", "main") == "Ops <ops@a.example> plan"
    at.commit("clusters/b.example/x", "another Sovereign's")
    assert pushed(at, tmp_path, change(a="1", b="2")) != first, "their commit is the head"
    pushed(at, tmp_path, change(b="3"))
    theirs = {"README": "theirs", "clusters/b.example/x": "another Sovereign's"}
    assert at.files() == {**theirs, f"{OURS}/b": "3"}
    assert git(at.repository, "rev-list", "--count", "main") == "4"
    pushed(at, tmp_path, change())
    assert at.files() == theirs


def test_who_was_faster_is_built_upon(at: Home, tmp_path: Path) -> None:
    at.commit("README", "theirs")
    at.before_push = [("one", "1"), ("two", "2")]
    pushed(at, tmp_path, change(a="1"))
    assert at.files() == {"README": "theirs", "one": "1", "two": "2", f"{OURS}/a": "1"}
    at.before_push = [(f"n{number}", "x") for number in range(9)]
    with pytest.raises(Temporary, match="others kept writing"):
        pushed(at, tmp_path, change(a="2"))
    assert len(at.before_push) == 4


def test_a_repository_that_refuses_says_why(at: Home, tmp_path: Path) -> None:
    with pytest.raises(Permanent, match="refuses the login") as refused:
        pushed(at, tmp_path, change(a="1"), password="wrong")
    assert refused.value.reason == "AUTH"
    hook = at.repository / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(Permanent, match="pre-receive hook declined") as refused:
        pushed(at, tmp_path, change(a="1"))
    assert refused.value.reason == "INVALID"
    with pytest.raises(Permanent, match="there is no repository"):
        push(tmp_path / "c", Remote(f"{at.url}x", "main", "", ""), login(), change(a="1"))
    at.close()
    with pytest.raises(Temporary, match="does not answer"):
        pushed(at, tmp_path, change(a="1"))


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A key as its owner makes it, and beside it who may sign, as Git reads it."""
    need("ssh-keygen", package="openssh-client")
    file = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(file)], check=True)
    file.with_suffix(".signers").write_text(f"* {file.with_suffix('.pub').read_text()}")
    return file


def private(key: Path) -> str:
    return key.read_text()


def verified(folder: Path, commit: str, key: Path) -> str:
    """What Git itself says of a commit's signature; raises where it is none of the key's."""
    words = ["-c", "gpg.format=ssh", "-c", f"gpg.ssh.allowedSignersFile={key.with_suffix('.signers')}"]
    command = ["git", "-C", str(folder), *words, "verify-commit", commit]
    return subprocess.run(command, capture_output=True, text=True, check=True).stderr


def test_a_signature_is_what_git_takes_for_one_and_the_same_each_time(at: Home, tmp_path: Path, key: Path) -> None:
    sign = signing.signer(Credential({"private_key": key.read_text()}, signing.SCHEMA))
    head = pushed(at, tmp_path, replace(change(a="1"), sign=sign))
    assert 'Good "git" signature' in verified(at.repository, head, key)
    assert sign(b"a commit") == sign(b"a commit") != sign(b"another")
    unsigned = pushed(at, tmp_path, change(a="2"))
    with pytest.raises(subprocess.CalledProcessError):
        verified(at.repository, unsigned, key)
    for given in ("rubbish", "", key.with_suffix(".pub").read_text()):
        with pytest.raises(CredentialInvalid):
            signing.demand_key({"private_key": given})
    signing.demand_key({"private_key": key.read_text().strip().replace("\n", "\r\n")})


async def test_a_sovereigns_tree_is_pushed_signed_waits_for_its_login_and_goes_with_it(
    bench: Bench, at: Home, database: str, key: Path
) -> None:
    service: Any = bench.daemon.admin(stubs.CredentialServiceStub)
    name = "credentials/trees"
    made = rpc.CreateCredentialRequest(credential=pb.Credential(name=name, kind="git"), values={"username": "flux"})
    assert await wrong_fields(service.CreateCredential(made)) == {"values.password"}
    made.values["password"] = "wrong"
    given = await service.CreateCredential(made)
    at.commit("README", "theirs")
    signer = {"name": "credentials/signer"}
    await bench.create(gitops={"remote": at.url, "credential": {"name": name}, "signing_key": signer})
    assert [f.field for f in (await bench.plan()).findings] == ["spec.gitops.signing_key"]
    wish = rpc.CreateCredentialRequest(credential=pb.Credential(name=signer["name"], kind="signing_key"))
    wish.values["private_key"] = private(key)
    await service.CreateCredential(wish)
    gone = rpc.DeleteCredentialRequest(name=name, etag=given.etag)
    assert await reason_of(service.DeleteCredential(gone)) == "CREDENTIAL_IN_USE"
    run = await bench.apply(await bench.plan())
    await blocked(bench, run, "add a version to the credential")
    turned = rpc.AddCredentialVersionRequest(name=name, values={"username": "flux", "password": CANARY})
    await service.AddCredentialVersion(turned)
    assert (await bench.ended(run)).state == pb.Run.STATE_SUCCEEDED
    assert "Good" in verified(at.repository, git(at.repository, "rev-parse", "main"), key)
    own = bench.home / "trees" / "omantel.git"
    assert "Good" in verified(own, git(own, "rev-parse", "main"), key), "what clusters pull is signed too"
    files = at.files()
    assert files["README"] == "theirs"
    assert {f"clusters/omantel.omani.works/{one}" for one in ("sovereign.yaml", "lock.yaml")} <= files.keys()
    assert (await bench.ended(await bench.apply(await bench.plan("DESTROY")))).state == pb.Run.STATE_SUCCEEDED
    assert at.files() == {"README": "theirs"}
    secret = private(key).splitlines()[2]
    held = await dump(database)
    assert CANARY.encode() not in held
    assert secret.encode() not in held
    assert not any(secret in str(event) for event in await bench.events(run))
    assert not any(CANARY in str(event) for event in await bench.events(run))
