"""A real SLURM of one node, for tests: two daemons and munge in a folder, bound to 127.0.0.1.

python tests/slurm/cluster.py start FOLDER     then: export PATH=FOLDER/bin:$PATH
python tests/slurm/cluster.py stop FOLDER

Needs root on Debian or Ubuntu; the packages slurm-wlm and munge are installed if they are missing.
Nothing outside FOLDER is written: FOLDER/bin holds the SLURM commands, bound to this cluster. There
is no accounting (sacct fails), and memory is enforced by polling, once a second. Jobs of the
partition `urgent` preempt all others.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")
COMMANDS = (
    *("sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo"),
    *("sacct", "sacctmgr", "sshare"),
)
MARK = "TEST_CLUSTER"
"""Environment variable by which the processes of a cluster are known."""

SLURM_CONF = """\
ClusterName=test
SlurmctldHost={node}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/run/munge.socket,cred_expire=10
CryptoType=crypto/munge
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=500
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/log/jobcomp.txt
MinJobAge=600
KillWait=5
ReturnToService=2
MpiDefault=none
SwitchType=switch/none
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
GresTypes=gpu
NodeName={node} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=16000 Gres=gpu:fake:2 State=UNKNOWN
PartitionName=gpu Nodes={node} Default=YES MaxTime=7-00:00:00 State=UP
PartitionName=cpu Nodes={node} MaxTime=7-00:00:00 State=UP
PartitionName=urgent Nodes={node} PriorityTier=10 MaxTime=7-00:00:00 State=UP
"""


class Unavailable(Exception):
    """This machine cannot have a cluster; says why in one sentence."""


class Cluster:
    """A cluster in a folder, running or not.

    Args:
        folder: of this cluster alone.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder).resolve()
        self.conf = self.folder / "slurm.conf"
        self.bin = self.folder / "bin"

    def environment(self) -> dict[str, str]:
        """The environment in which commands find this cluster."""
        path = f"{self.bin}:{os.environ['PATH']}"
        return os.environ | {"PATH": path, MARK: str(self.folder)}

    def run(self, *command: str) -> str:
        """The output of a command on this cluster; `CalledProcessError` if it fails."""
        done = subprocess.run(command, env=self.environment(), capture_output=True, text=True)
        done.check_returncode()
        return done.stdout.strip()

    def start(self, cpus: int = 2) -> None:
        """Write the configuration, start the daemons and wait until the node is idle.

        Raises:
            Unavailable: if this machine cannot, with all that was started stopped again.
        """
        install()
        if self.processes():
            raise Unavailable(f"{self.folder} holds a running cluster; stop it first")
        self._configure(cpus)
        try:
            self._start_daemons()
            wait_for(
                lambda: self.run("sinfo", "-h", "-p", "gpu", "-o", "%t") == "idle", 30, "idle node"
            )
            outside = {address for address in self.listening() if address != "127.0.0.1"}
            if outside:
                raise Unavailable(f"a daemon listens on {', '.join(outside)}, not on 127.0.0.1")
        except (OSError, subprocess.CalledProcessError, TimeoutError, Unavailable) as error:
            self.stop()
            said = getattr(error, "stderr", None) or error
            raise Unavailable(f"SLURM does not start in {self.folder}: {said}") from None

    def stop(self) -> None:
        """Cancel all jobs, stop the daemons and wait until no process is left."""
        if not self.processes():
            return
        with contextlib.suppress(OSError, subprocess.CalledProcessError, TimeoutError):
            self.run("scancel", "--quiet", "--user=root")
            wait_for(lambda: not self.run("squeue", "-h"), 30, "end of all jobs")
        for name in reversed(DAEMONS):
            with contextlib.suppress(OSError, ValueError):
                os.kill(int((self.folder / f"run/{name}.pid").read_text()), signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            wait_for(lambda: not self.processes(), 10, "end of the daemons")
        for process in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def processes(self) -> list[int]:
        """Ids of all processes of this cluster but this one: daemons, jobs and their clients."""
        mark = f"{MARK}={self.folder}".encode()
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if mark in path.read_bytes().split(b"\0"):
                    found.append(int(path.parent.name))
        return sorted(set(found) - {os.getpid()})

    def listening(self) -> list[str]:
        """The addresses on which processes of this cluster listen to TCP; IPv6 ones in full."""
        sockets = set()
        for process in self.processes():
            with contextlib.suppress(OSError):
                for descriptor in Path(f"/proc/{process}/fd").iterdir():
                    with contextlib.suppress(OSError):
                        sockets.add(os.readlink(descriptor))
        found = []
        for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                    words = bytes.fromhex(fields[1].split(":")[0])
                    groups = [words[i : i + 4][::-1] for i in range(0, len(words), 4)]
                    found.append(socket.inet_ntop(family, b"".join(groups)))
        return found

    def _configure(self, cpus: int) -> None:
        for name in ("run", "state", "spool", "log", "bin", "gpu"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        node = socket.gethostname().split(".")[0]
        self.conf.write_text(
            SLURM_CONF.format(node=node, folder=self.folder, ports=free_ports(2), cpus=cpus)
        )
        gpus = self.folder / "gpu"
        for number in range(2):
            # Character devices, as jobs get no CUDA_VISIBLE_DEVICES for other files.
            (gpus / f"gpu{number}").unlink(missing_ok=True)
            os.mknod(gpus / f"gpu{number}", 0o20666, os.makedev(1, 3))
        (self.folder / "gres.conf").write_text(
            f"NodeName={node} Name=gpu Type=fake File={gpus}/gpu[0-1]\n"
        )
        key = self.folder / "munge.key"
        key.unlink(missing_ok=True)
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o400)
        for command in COMMANDS:
            # SLURM_CONF does not survive into a job's own calls of `srun`.
            wrapper = self.bin / command
            found = shutil.which(command, path="/usr/bin:/usr/local/bin")
            wrapper.write_text(f'#!/bin/sh\nSLURM_CONF={self.conf} exec {found} "$@"\n')
            wrapper.chmod(0o755)

    def _start_daemons(self) -> None:
        run, log = self.folder / "run", self.folder / "log"
        munge = {
            "key-file": self.folder / "munge.key",
            "socket": run / "munge.socket",
            "pid-file": run / "munged.pid",
            "log-file": log / "munged.log",
            "seed-file": run / "munged.seed",
        }
        self._daemon("munged", "--force", *(f"--{key}={path}" for key, path in munge.items()))
        self._daemon("slurmctld", "-f", str(self.conf))
        self._daemon("slurmd", "-f", str(self.conf))

    def _daemon(self, name: str, *arguments: str) -> None:
        """Start a daemon, which goes into the background by itself."""
        program = shutil.which(name, path="/usr/sbin:/usr/local/sbin:/usr/bin")
        log = self.folder / f"log/{name}.start.log"
        with open(log, "w") as said:
            # Not through pipes: the daemon would keep them open.
            started = subprocess.run(
                [str(program), *arguments],
                env=self.environment() | {"SLURM_CONF": str(self.conf)},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )
        if started.returncode:
            raise Unavailable(" ".join(log.read_text().split()))


@contextlib.contextmanager
def running(folder: str | Path, cpus: int = 2) -> Iterator[Cluster]:
    """A cluster that runs inside the block; `Unavailable` if this machine cannot have one."""
    cluster = Cluster(folder)
    cluster.start(cpus)
    try:
        yield cluster
    finally:
        cluster.stop()


def install() -> None:
    """Install SLURM and munge if they are missing; `Unavailable` if that cannot be done."""
    if os.geteuid() != 0:
        raise Unavailable("a SLURM for tests needs root")
    if all(shutil.which(name, path="/usr/sbin:/usr/local/sbin") for name in DAEMONS):
        return
    if shutil.which("apt-get") is None:
        raise Unavailable("SLURM is not installed and there is no apt-get to install it")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    packages = ["install", "-y", "-qq", "--no-install-recommends", "slurm-wlm", "munge"]
    for arguments in (["update", "-qq"], packages):
        done = subprocess.run(
            ["apt-get", *arguments], env=environment, capture_output=True, text=True
        )
        if done.returncode:
            said = (done.stderr.strip() or "no reason given").splitlines()[-1]
            raise Unavailable(f"SLURM cannot be installed: apt-get {arguments[0]}: {said}")


def free_ports(count: int) -> list[int]:
    """Different free TCP ports of 127.0.0.1."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def wait_for(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Return once `condition()` holds; `TimeoutError` if it does not for so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"no {what} after {seconds:g} s")
        time.sleep(0.1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("start", "stop"))
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    cluster = Cluster(arguments.folder)
    if arguments.action == "stop":
        cluster.stop()
        return 0
    try:
        cluster.start()
    except Unavailable as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"export PATH={cluster.bin}:$PATH {MARK}={cluster.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
