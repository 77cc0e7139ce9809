"""Applications of Organizations on a simulated cluster."""

import json
from collections.abc import Mapping
from typing import Any

from catalyst.provisioner.v1 import resources_pb2
from catalyst_cloud_sandbox.agent import reports
from catalyst_cloud_sandbox.agent.releases import Pace, Wish, adopt, advance
from catalyst_cloud_sandbox.agent.workloads import Wished, Workloads
from catalyst_testkit import eventually

from .test_agent import Cluster, cluster

__all__ = ["cluster"]
Command = resources_pb2.AgentCommand
PACE = Pace("seed", 0.01)
BLOG = "environments/acme-prod/applications/blog"


def wished(uid: str = "1", commit: str = "a", **more: Any) -> Wished:
    return Wished(BLOG, uid, "http://git.example/x", "main", commit, **more)


def moved(hosted: Workloads, now: float) -> Mapping[str, Any]:
    hosted.settle(advance(adopt(hosted.releases, hosted.wishes(), now, PACE), now, PACE))
    return {one.application: one for one in reports.workloads(hosted, ()).workloads.workloads}


def installed() -> Workloads:
    hosted = Workloads()
    hosted.take(1, [wished()], "user", "password")
    assert [one.commit for one in hosted.to_pull()] == ["a"]
    assert not moved(hosted, 0)[BLOG].HasField("release")
    hosted.pulled(wished(), [Wish("blog", "acme-prod", version="1", fingerprint="1")])
    assert (moved(hosted, 0)[BLOG].serves, hosted.to_pull()) == (False, [])
    assert moved(hosted, 10)[BLOG].serves
    return hosted


def test_one_that_is_stopped_runs_nothing_and_comes_back_one_that_is_left_changes_nothing() -> None:
    hosted = installed()
    hosted.take(2, [wished(is_stopped=True)], "user", "password")
    ready = moved(hosted, 11)[BLOG].release.conditions[-1]
    assert (ready.status, ready.reason) == ("False", "Stopped")
    hosted.take(3, [wished()], "user", "password")
    assert (moved(hosted, 12)[BLOG].serves, moved(hosted, 22)[BLOG].serves) == (False, True)
    hosted.take(4, [wished(commit="b", is_left=True)], "user", "password")
    assert (hosted.to_pull(), moved(hosted, 23)[BLOG].commit) == ([], "a")
    hosted.take(5, [wished(commit="b")], "user", "password")
    hosted.pulled(wished(commit="b"), [], "no such commit")
    told = moved(hosted, 24)[BLOG]
    assert (told.commit, told.problem, told.serves) == ("a", "no such commit", True), "what was there stays"


def test_what_is_wished_no_more_is_told_until_it_is_gone() -> None:
    hosted = installed()
    hosted.take(2, [], "user", "password")
    assert list(moved(hosted, 11)) == [BLOG]
    assert list(moved(hosted, 12)) == []


def release(name: str, *needs: str) -> str:
    spec = {"timeout": "15m", "dependsOn": [{"name": one} for one in needs]}
    return json.dumps({"kind": "HelmRelease", "metadata": {"name": name, "namespace": "kube-system"}, "spec": spec})


async def test_an_agent_pulls_the_commit_that_is_wished_with_its_login_and_goes_on_after_kill_9(
    cluster: Cluster, home: Any, git: Any
) -> None:
    git.push({"release.yaml": release("wiki")})
    commit = git.push({"release.yaml": release("blog")})
    git.push({"release.yaml": "nothing that was asked for"})
    one = resources_pb2.Workload(application=BLOG, uid="u-1", url=git.url, branch="main", commit=commit)
    await eventually(lambda: home.streams, within=60)

    def command(number: int, *workloads: resources_pb2.Workload) -> None:
        asked = Command.Workloads(workloads=workloads, username="user", password="secret")
        home.commands.put_nowait(Command(id=number, workloads=asked))

    def serving() -> list[str]:
        told = home.of("workloads")
        return [seen.commit for seen in told[-1].workloads if seen.serves] if told else []

    command(1, one)
    await eventually(lambda: serving() == [commit], within=60)
    (seen,) = home.of("workloads")[-1].workloads
    assert (seen.release.namespace, seen.release.name) == ("acme-prod", "blog"), "in the namespace of its Environment"
    assert home.releases() == {}, "it is no component of the house"
    cluster.kill()
    await eventually(lambda: cluster.pid is None, within=60)
    cluster.revive()
    await eventually(lambda: home.streams == 2, within=60)
    command(2)
    await eventually(
        lambda: home.of("workloads")[-1].command == 2 and not home.of("workloads")[-1].workloads, within=60
    )
