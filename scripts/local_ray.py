"""An isolated Ray of our own on this machine, with one Serve config deployed on it.

Never attaches to a Ray that runs already, listens on loopback, takes free ports, and keeps its
files in one temporary directory that goes away with it. That directory is private: Ray opens its
own, a level below, to every user of the machine. Pictures that Ray has no room for in its store go
to another place in memory, never to a disk.
"""

import errno
import logging
import os
import resource
import secrets
import shutil
import socket
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from scripts.api_key import add_key
from scripts.signals import stop_on_signals

_OBJECT_STORE_BYTES = 512 * 2**20
_SHARED_MEMORY = Path("/dev/shm")


class LocalRayError(Exception):
    """Serve did not take the config; the message is what it printed."""


class LocalRay:
    """A context manager: Ray with a deployed Serve config inside, nothing left behind after."""

    def __init__(self, config: Path, port: int, num_gpus: int = 0, own_key: bool = False) -> None:
        """Take what is to be served.

        Args:
            config: a Serve config.
            port: of HTTP.
            num_gpus: to pretend to have, for rehearsals.
            own_key: make a key for this run, also where the config's file of keys is there.
        """
        self._config = config
        self._own_key = own_key
        self._port = port
        self._num_gpus = num_gpus
        self.directory = Path(tempfile.mkdtemp(prefix="twinset-", dir=_short_directory()))
        self.api_key: str | None = None
        """A key made for this run alone; None where nobody needs one or the config has its own."""
        self.needs_key = False

    def __enter__(self) -> Self:
        """Start Ray and submit the config; the application may not be ready yet."""
        isolate_environment(self.directory)
        try:
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop what was started and remove its files; requests under way end with it.

        Without `serve.shutdown()`, which drains replicas for five seconds first: whoever stops a
        service in the foreground wants it to stop.
        """
        import ray

        if ray.is_initialized():
            ray.shutdown()
        remove_files(self.directory)

    def failure(self) -> str | None:
        """Return Serve's messages when the application could not be deployed, else None."""
        from ray import serve

        status = serve.status()
        if "UNHEALTHY" in status.proxies.values():
            return f"Serve's HTTP proxy does not work; is port {self._port} busy?"
        states = {application.status for application in status.applications.values()}
        return self.messages() if states & {"DEPLOY_FAILED", "UNHEALTHY"} else None

    def messages(self) -> str:
        """Return what Serve says of the application and its deployments, a line each."""
        from ray import serve

        lines = []
        for application in serve.status().applications.values():
            lines.append(application.message)
            lines += [f"{name}: {one.message}" for name, one in application.deployments.items()]
        return "\n".join(line for line in lines if line)

    def _start(self) -> None:
        # Imported here: Ray reads its environment when it is imported.
        import ray
        from ray.serve.scripts import cli

        config = self._write_config()
        ray.init(
            address="local",
            namespace="serve",
            num_cpus=max(2, os.cpu_count() or 2),
            num_gpus=self._num_gpus,
            object_store_memory=_OBJECT_STORE_BYTES,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            _node_ip_address="127.0.0.1",
            _temp_dir=str(ray_directory(self.directory)),
        )
        stop_on_signals()  # Ray has just put a handler of its own in the place of ours.
        logging.getLogger("ray.serve").setLevel(logging.ERROR)
        # `serve run` uses the Ray that is initialised above instead of looking for another.
        command = ["run", "--non-blocking", str(config)]
        with (
            (self.directory / "serve-run.log").open("w") as log,
            redirect_stdout(log),
            redirect_stderr(log),
        ):
            try:
                cli.main(command, standalone_mode=False)
            except RuntimeError as error:
                raise LocalRayError(f"port {self._port}: {error}") from error
            except SystemExit:
                log.flush()
                raise LocalRayError((self.directory / "serve-run.log").read_text()) from None

    def _write_config(self) -> Path:
        from ray.serve.schema import ServeDeploySchema

        try:
            config: dict[str, Any] = yaml.safe_load(self._config.read_text())
            ServeDeploySchema.model_validate(config)
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise LocalRayError(str(error)) from error
        config.setdefault("http_options", {})["port"] = self._port
        if self._num_gpus == 0 and _asks_for_gpus(config):
            raise LocalRayError(
                "it asks for GPUs and this run has none: add NUM_GPUS=1 (the simulation's are "
                "pretended; real models need `ray start` and `make deploy`, see the README)"
            )
        for application in config["applications"]:
            self._provide_key(application.get("args") or {})
        target = self.directory / "serve.yaml"
        target.write_text(yaml.safe_dump(config))
        return target

    def _provide_key(self, arguments: dict[str, Any]) -> None:
        """Put a key of this run's own in the place of a file of keys that is not here, or not ours.

        Whoever serves for others has their keys in the config's file; a load test needs a key.
        """
        named = arguments.get("api_keys_file")
        self.needs_key = named is not None
        if named is None or (Path(named).expanduser().exists() and not self._own_key):
            return
        keys = self.directory / "api-keys"
        self.api_key = add_key(keys, "this-run")
        arguments["api_keys_file"] = str(keys)


def _asks_for_gpus(config: dict[str, Any]) -> bool:
    return any(
        (deployment.get("ray_actor_options") or {}).get("num_gpus", 0) > 0
        for application in config["applications"]
        for deployment in application.get("deployments") or []
    )


def isolate_environment(directory: Path) -> None:
    """Set this process's environment so that Ray keeps to itself; call before importing Ray."""
    # RAY_ADDRESS would make Serve attach to somebody's cluster.
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "RAY_NAMESPACE"):
        os.environ.pop(name, None)
    os.environ.update(
        # A secret of this run's own: nothing is read from or written to the home directory.
        RAY_AUTH_MODE="token",
        RAY_AUTH_TOKEN=secrets.token_hex(32),
        RAY_TMPDIR=str(directory),
        # On Linux the name misleads: without clusters Ray's daemons listen on loopback alone.
        RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0",
        # What Serve's proxy says by itself comes in our envelope.
        RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH="deployments.proxy:middlewares",
        RAY_USAGE_STATS_ENABLED="0",
        # By default Ray's workers, models among them, yield to everything else that runs (15).
        RAY_worker_niceness="0",
        RAY_DEDUP_LOGS="0",
        RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0",
        # As by default: without it Serve binds so that a new proxy cannot follow one that was
        # killed as long as its connections linger. Two services on one port would share the
        # requests; scripts/port_claim.py sees to it that there are none.
        SERVE_SOCKET_REUSE_PORT_ENABLED="1",
        # Three failures make a dead proxy: by default that takes half a minute.
        RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S="1",
        # Of Serve's own processes; those of the application are set in its config.
        RAY_SERVE_LOG_ENCODING="JSON",
    )
    if spilling := _memory_directory(directory):
        # Ray puts objects that its store has no room for into files; these stay in memory. One
        # that is there already is somebody else's, who guessed the name.
        spilling.mkdir(mode=0o700)
        os.environ.update(RAY_object_spilling_directory=str(spilling))
    # A core dump would hold the pictures of the moment.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    # Replicas import `deployments` and `models` from this checkout, installed or not.
    root = str(Path(__file__).resolve().parent.parent)
    paths = [root, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(path for path in paths if path))


def remove_files(directory: Path) -> None:
    """Remove what an isolated Ray has left: its directory, and what it put into memory."""
    shutil.rmtree(directory, ignore_errors=True)
    if spilling := _memory_directory(directory):
        shutil.rmtree(spilling, ignore_errors=True)


def ray_directory(directory: Path) -> Path:
    """Return where a Ray that was isolated in `directory` keeps its files: logs, sockets, sessions.

    Ray sets what it is given as its directory to mode 0777, and what it makes there, too, so that
    whoever reaches it could exchange a log for a link, or a socket for one of theirs.
    """
    return directory / "ray"


def _memory_directory(directory: Path) -> Path | None:
    # By the name of the run's directory, so that `make stop` finds it, too.
    return _SHARED_MEMORY / directory.name if os.access(_SHARED_MEMORY, os.W_OK) else None


def free_port() -> int:
    """Return a port of the loopback interface that nobody uses at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def is_busy(host: str, port: int) -> bool:
    """Say whether something listens on a port already.

    Raises:
        OSError: the port cannot be used for another reason, such as a missing permission.
    """
    with socket.socket() as listener:
        # As servers do, so that a connection in TIME_WAIT does not count as a listener.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return True
            raise
    return False


def _short_directory() -> str:
    # Ray makes Unix sockets below it, whose paths may have at most 107 bytes.
    directory = tempfile.gettempdir()
    return directory if len(directory) <= 20 or sys.platform == "win32" else "/tmp"
