"""The cluster keeps to itself: loopback only, one temporary folder, one cluster id."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.harness import until
from tests.kafka.cluster import CLUSTER_ID, Cluster, Node
from tests.kafka.libraries import ROOT, libraries

pytestmark = pytest.mark.integration

PARENT = """
from tests.kafka.cluster import Cluster
from tests.kafka.libraries import libraries
with Cluster(1, libraries()) as cluster:
    print(cluster.nodes[0].pid, cluster.home, flush=True)
    input()
"""


def meta(node: Node) -> str:
    return (node.folder / "data/meta.properties").read_text()


def test_every_broker_listens_on_the_loopback_address_only(cluster: Cluster) -> None:
    for node in cluster.nodes:
        listening = [
            connection.laddr
            for connection in psutil.Process(node.pid).net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert {place.port for place in listening} == {node.port, node.controller_port}
        assert {place.ip.removeprefix("::ffff:") for place in listening} == {"127.0.0.1"}


def test_every_broker_is_formatted_with_the_same_id(cluster: Cluster) -> None:
    for node in cluster.nodes:
        assert f"cluster.id={CLUSTER_ID}\n" in meta(node)
        assert f"node.id={node.number}\n" in meta(node)


def test_a_cluster_that_ends_leaves_neither_process_nor_folder(cluster: Cluster) -> None:
    with Cluster(1, libraries()) as other:
        (node,) = other.nodes
        pid, home = node.pid, other.home
        assert home != cluster.home
        assert psutil.pid_exists(pid)
        assert node.listens()

    assert not psutil.pid_exists(pid)
    assert not node.listens()
    assert not home.exists()
    assert home.parent == Path(cluster.home).parent


@pytest.mark.usefixtures("cluster")
async def test_a_killed_test_run_leaves_neither_process_nor_folder() -> None:
    parent = subprocess.Popen(  # noqa: ASYNC220 - it only has to be started and killed
        [sys.executable, "-c", PARENT],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        pid, home = parent.stdout.readline().split()
        assert psutil.Process(int(pid)).name() == "java"
        parent.kill()

    await until(lambda: _is_gone(int(pid)), "the broker has ended")
    await until(lambda: not Path(home).exists(), "its folder is removed")


def _is_gone(pid: int) -> bool:
    """No process, or one that is dead and waits for the init process to notice."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
