"""A real kube-apiserver with etcd and the controller manager, of script/kube, on loopback as nobody."""

import json
import os
import shutil
import signal
import ssl
import subprocess
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from catalyst_testkit.servers import drop, free_port
from catalyst_testkit.waiting import eventually_sync

BUILT = Path(__file__).parents[2] / ".kube-server"
ADMIN = "admin-of-tests"
ISSUER = "https://kubernetes.default.svc.cluster.local"


@dataclass
class KubeServer:
    """One cluster without nodes: whatever is made is kept and checked, and no pod ever runs."""

    home: Path
    port: int = field(default_factory=free_port)
    _ports: tuple[int, int] = field(default_factory=lambda: (free_port(), free_port()))
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _apiserver: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def ca(self) -> Path:
        """The certificate that it made for itself."""
        return self.home / "certs" / "apiserver.crt"

    @property
    def kubeconfig(self) -> Path:
        return self.home / "kubeconfig"

    def start(self) -> None:
        """Start, or start again with the data that it had; returns when it is ready."""
        if not (self.home / "sa.key").exists():
            self._prepare()
        client, peer = self._ports
        etcd = [
            str(self.home / "etcd"),
            "--name",
            "e",
            "--data-dir",
            str(self.home / "data"),
            "--listen-client-urls",
            f"http://127.0.0.1:{client}",
            "--advertise-client-urls",
            f"http://127.0.0.1:{client}",
            "--listen-peer-urls",
            f"http://127.0.0.1:{peer}",
            "--initial-advertise-peer-urls",
            f"http://127.0.0.1:{peer}",
            "--initial-cluster",
            f"e=http://127.0.0.1:{peer}",
            "--unsafe-no-fsync",
        ]  # fmt: skip - a command
        apiserver = [
            str(self.home / "kube-apiserver"),
            f"--etcd-servers=http://127.0.0.1:{client}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self.port}",
            f"--cert-dir={self.home}/certs",
            f"--service-account-issuer={ISSUER}",
            f"--service-account-signing-key-file={self.home}/sa.key",
            f"--service-account-key-file={self.home}/sa.key",
            "--service-cluster-ip-range=10.250.0.0/24",
            f"--token-auth-file={self.home}/tokens.csv",
            "--authorization-mode=RBAC",
            "--disable-admission-plugins=ServiceAccount",
            "--endpoint-reconciler-type=none",
            "--advertise-address=10.250.1.1",
        ]  # fmt: skip - a command
        manager = [
            str(self.home / "kube-controller-manager"),
            f"--kubeconfig={self.kubeconfig}",
            "--port=0",
            "--secure-port=0",
            "--leader-elect=false",
            "--controllers=namespace,garbagecollector,root-ca-cert-publisher",
            f"--root-ca-file={self.ca}",
        ]  # fmt: skip - a command
        self._apiserver = apiserver
        self._run("etcd", etcd)
        self._run("apiserver", apiserver)
        eventually_sync(self._ready, within=120, what="the API server is ready")
        self._run("manager", manager)

    def start_api(self) -> None:
        """Start the API server again after its death."""
        self._run("apiserver", self._apiserver)
        eventually_sync(self._ready, within=120, what="the API server is ready again")

    def stop(self) -> None:
        """End it in peace, the API server first."""
        for process in (one for one in reversed(self._running) if one.poll() is None):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()

    def kill_api(self) -> None:
        """kill -9 of the API server alone: every watch breaks."""
        process = self._running[1]
        process.kill()
        process.wait()

    def ask(
        self, verb: str, path: str, body: Any = None, *, media: str = "application/json", token: str = ADMIN
    ) -> tuple[int, Any]:
        """One request, as the administrator if nobody else is named: status and answer."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data, {"authorization": f"Bearer {token}", "content-type": media}, method=verb
        )
        context = ssl.create_default_context(cafile=str(self.ca))
        try:
            with urllib.request.urlopen(request, timeout=30, context=context) as answer:
                return answer.status, _read(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _read(error.read())

    def _prepare(self) -> None:
        for name in ("etcd", "kube-apiserver", "kube-controller-manager"):
            shutil.copy(BUILT / name, self.home / name)  # nobody may not enter where they were built
        key = self.home / "sa.key"
        subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
        (self.home / "tokens.csv").write_text(f'{ADMIN},admin,uid1,"system:masters"\n')
        for path in (key, self.home / "tokens.csv"):
            path.chmod(0o644)
        cluster = {"server": self.url, "certificate-authority": str(self.ca)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "admin", "user": {"token": ADMIN}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
        }  # fmt: skip - a document
        self.kubeconfig.write_text(json.dumps(config))

    def _run(self, name: str, command: list[str]) -> None:
        with (self.home / f"{name}.log").open("ab") as log:
            self._running.append(
                subprocess.Popen(
                    [*drop(), *command], stdout=log, stderr=log, cwd=self.home, env={"PATH": os.environ["PATH"]}
                )
            )

    def _ready(self) -> bool:
        assert self._running[-1].poll() is None, (self.home / "apiserver.log").read_text()[-2000:]
        try:
            return self.ca.exists() and self.ask("GET", "/readyz")[0] == 200
        except OSError:
            return False


def _read(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text.decode(errors="replace")
