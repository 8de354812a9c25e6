"""The containers' world on this machine: what is translated, what is not, and what is refused."""

import sys

import pytest
from rehearsal.compose import ComposeError, Mount, Service
from rehearsal.services import Running
from rehearsal.world import World
from waiting import eventually


@pytest.fixture
def world(tmp_path):
    return World(tmp_path, ["postgres", "airflow-apiserver"])


def service(environment=None, mounts=(), tmpfs=()):
    return Service("one", "veille:0.1.0", (), environment or {}, {}, None, mounts, tmpfs, {})


def test_addresses_of_services_become_ports_of_this_machine(world):
    """A password that looks like a port is none."""
    url = "postgresql://postgres:0Xy@postgres:5432/veille http://airflow-apiserver:8080/execution/"

    assert world.text(url, service()) == (
        f"postgresql://postgres:0Xy@127.0.0.1:{world.port('5432')}/veille"
        f" http://127.0.0.1:{world.port('8080')}/execution/"
    )
    assert world.text("postgresql://postgres:5432@postgres:5432/x", service()).startswith(
        "postgresql://postgres:5432@127.0.0.1"
    )


def test_every_port_is_one_of_its_own(world):
    assert len(set(world.ports.values())) == len(world.ports)


def test_a_port_that_the_table_does_not_have_is_refused(world):
    """It would lead to whatever listens on that port here."""
    with pytest.raises(ComposeError, match=r"port 80 is not in table\.yaml"):
        world.text("http://localhost:80/", service())
    with pytest.raises(ComposeError, match="port 81"):
        world.environment(service({"AIRFLOW__API__PORT": "81"}))


def test_volumes_are_shared_and_tmpfs_are_not(world, tmp_path):
    mounts = (
        Mount("veille", "/var/lib/veille", read_only=False),
        Mount("./config", "/etc/veille", read_only=True),
    )
    found = service(mounts=mounts, tmpfs=("/tmp",))

    assert world.text("/var/lib/veille/archive:/tmp/x /etc/veille", found) == (
        f"{tmp_path}/volumes/veille/archive:{tmp_path}/tmpfs/one/tmp/x {tmp_path}/config"
    )
    assert world.text("/var/lib/veille-2 /mnt/tmp /tmpx", found) == "/var/lib/veille-2 /mnt/tmp /tmpx"


def test_a_service_has_the_environment_of_our_image_and_its_own(world):
    """Listening on loopback, whatever it would do in a container; nothing of ours gets in."""
    found = world.environment(service({"AIRFLOW__API__HOST": "0.0.0.0", "AIRFLOW__API__PORT": "8080"}))

    assert found["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert found["AIRFLOW__API__PORT"] == str(world.port("8080"))
    assert found.keys() == {
        *("AIRFLOW__API__HOST", "AIRFLOW__API__PORT"),
        *("PATH", "HOME", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"),
    }
    assert "/opt/venv" not in found["PATH"]


def test_a_service_is_weighed_with_all_that_it_started(tmp_path):
    """As its container would be, whose limit counts them together."""
    held = "import time; held = bytearray(b'x') * 80_000_000; time.sleep(60)"
    command = ["/bin/sh", "-c", f'{sys.executable} -c "{held}" & wait']
    running = Running("one", command, {}, tmp_path / "log", folder=tmp_path)
    try:
        assert eventually(lambda: running.weigh() or running.peak > 80_000_000, 30), running.peak
    finally:
        running.stop()
    heaviest = running.peak
    running.weigh()

    assert running.peak == heaviest < 200_000_000
