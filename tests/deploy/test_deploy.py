"""Nothing under deploy/ is started by the tests, so its files are held to the project: a renamed
variable, command or port would otherwise be found out on the day of the move."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from dagster._cli import create_dagster_cli
from dagster._core.instance.config import dagster_instance_config
from dagster._core.workspace.config_schema import process_workspace_config
from dagster._daemon.cli import create_dagster_daemon_cli
from dagster_webserver.cli import dagster_webserver

from orchestration.definitions import CONFIG_VARIABLE, build_definitions

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "compose"
UNRUN = ("compose/Dockerfile", "compose/compose.yaml", "helm/values.yaml", "helm/data-volume.yaml")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ADDED = {"dagster-postgres", "psycopg2-binary", "sqlalchemy"}
"""What the lock of the image may have besides, or in another version."""


def load(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text())


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = load("compose/compose.yaml")["services"]
    return found


@pytest.fixture(scope="module")
def server() -> dict[str, Any]:
    """The code server's pod."""
    (only,) = load("helm/values.yaml")["dagster-user-deployments"]["deployments"]
    assert isinstance(only, dict)
    return only


def variables_of(name: str) -> set[str]:
    """The variables of an example of an env file, commented ones included."""
    return set(re.findall(r"^(?:# )?([A-Z][A-Z0-9_]+)=", (ROOT / name).read_text(), re.M))


def docker_command() -> list[str]:
    said = re.search(r"^CMD (\[.*?\])$", (COMPOSE / "Dockerfile").read_text(), re.M | re.S)
    assert said
    command = yaml.safe_load(said.group(1).replace("\\\n", ""))
    assert isinstance(command, list)
    return command


def flags(command: Sequence[str]) -> Iterator[tuple[str, str]]:
    for at, word in enumerate(command):
        if word.startswith("--"):
            yield word, command[at + 1] if at + 1 < len(command) else ""


def refuse_unknown(command: Sequence[str]) -> None:
    """Fail unless program, subcommands and options exist in the installed Dagster."""
    programs: dict[str, click.Command] = {
        "dagster": create_dagster_cli(),
        "dagster-daemon": create_dagster_daemon_cli(),
        "dagster-webserver": dagster_webserver,
    }
    current, words = programs[command[0]], list(command[1:])
    while isinstance(current, click.Group):
        found = current.get_command(click.Context(current), words.pop(0))
        assert found, command
        current = found
    known = {option for parameter in current.params for option in parameter.opts}
    assert {flag for flag, _ in flags(words)} <= known, command


def test_every_command_exists_with_its_options(
    services: dict[str, Any], server: dict[str, Any]
) -> None:
    """A process with a misspelt option restarts for ever."""
    commands = [docker_command(), services["daemon"]["command"], services["webserver"]["command"]]
    commands += [services[name]["healthcheck"]["test"][1:] for name in ("code", "daemon")]
    commands.append(["dagster", "code-server", "start", *server["codeServerArgs"]])
    for command in commands:
        refuse_unknown(command)
    with pytest.raises(AssertionError):
        refuse_unknown(["dagster", "code-server", "start", "--modul"])


def test_the_instance_is_one_that_dagster_takes(services: dict[str, Any]) -> None:
    """Wrong keys are found when the daemon starts, which is too late."""
    config, _ = dagster_instance_config(str(COMPOSE))
    assert config["concurrency"]["runs"]["max_concurrent_runs"] == 1
    assert config["telemetry"] == {"enabled": False}
    assert config["run_retries"]["retry_on_asset_or_op_failure"] is False
    access = load("compose/dagster.yaml")["storage"]["postgres"]["postgres_db"]
    wanted = {value["env"] for value in access.values()}
    for name in ("code", "daemon", "webserver"):
        assert set(services[name]["environment"]) == wanted, name


def test_the_daemon_finds_the_code_where_it_listens(
    services: dict[str, Any], server: dict[str, Any]
) -> None:
    """Another port or name, and the location is missing without any error in the code server."""
    workspace = load("compose/workspace.yaml")
    assert process_workspace_config(workspace).success
    (where,) = (entry["grpc_server"] for entry in workspace["load_from"])
    told = dict(flags(docker_command()))
    assert where["host"] in services
    assert str(where["port"]) == told["--port"] == str(server["port"])
    assert where["location_name"] == told["--location-name"] == server["name"]
    assert where["location_name"] == PROJECT["tool"]["dg"]["project"]["code_location_name"]
    module = PROJECT["tool"]["dg"]["project"]["code_location_target_module"]
    assert told["--module-name"] == module == dict(flags(server["codeServerArgs"]))["--module-name"]


def test_only_the_code_server_has_data_and_credentials(services: dict[str, Any]) -> None:
    """The web server is the process that others reach: it must have nothing to lose."""
    for name, service in services.items():
        mounts = [mount.split(":")[0] for mount in service.get("volumes", ())]
        assert ("data" in mounts) == (name == "code")
        assert ("env_file" in service) == (name == "code")
    assert services["webserver"]["ports"] == ["127.0.0.1:3000:3000"]


def test_the_example_names_every_variable_of_the_configuration() -> None:
    """A credential that nobody was told of is missing on the first night."""
    template = files("optout").joinpath("optout.template.toml").read_text()
    named = set(re.findall(r'^[a-z_]*_env = "([A-Z_]+)"', template, re.M))
    assert named <= variables_of("deploy/compose/optout.env.example")
    assert variables_of(".env.example") <= variables_of("deploy/compose/optout.env.example")
    assert variables_of("deploy/compose/.env.example") == {"DAGSTER_PG_PASSWORD"}


def test_the_image_holds_every_package_and_runs_as_nobody_special(server: dict[str, Any]) -> None:
    """A folder that is not copied is an import error in the image alone."""
    text = (COMPOSE / "Dockerfile").read_text()
    ignored = (COMPOSE / "Dockerfile.dockerignore").read_text().splitlines()
    for package in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        assert f"COPY {package}/ {package}/" in text
        assert f"!{package}" in ignored
    assert f"{CONFIG_VARIABLE}=/etc/optout/optout.toml" in text
    user = re.search(r"--uid (\d+)", text)
    assert user and int(user.group(1)) == server["podSecurityContext"]["runAsUser"]
    assert re.search(r"^USER optout$", text, re.M)


def test_one_pod_holds_the_volume(server: dict[str, Any]) -> None:
    """Two writers of one DuckDB file: the second night fails, or both do."""
    values, claim = load("helm/values.yaml"), load("helm/data-volume.yaml")
    assert server["deploymentStrategy"] == {"type": "Recreate"}
    launcher = values["runLauncher"]["config"][
        values["runLauncher"]["type"][0].lower() + values["runLauncher"]["type"][1:]
    ]
    assert hasattr(import_module(launcher["module"]), launcher["class"])
    queue = values["dagsterDaemon"]["runCoordinator"]["config"]["queuedRunCoordinator"]
    assert queue["maxConcurrentRuns"] == 1
    volumes = {volume["name"]: volume for volume in server["volumes"]}
    mounts = {mount["name"]: mount["mountPath"] for mount in server["volumeMounts"]}
    assert volumes["data"]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert mounts["data"] == "/data"
    assert server["env"][CONFIG_VARIABLE] == f"{mounts['config']}/optout.toml"


def test_helm_and_compose_watch_runs_alike() -> None:
    """A limit that is mended in one place only."""
    daemon, instance = load("helm/values.yaml")["dagsterDaemon"], load("compose/dagster.yaml")

    def snake(table: dict[str, Any]) -> dict[str, Any]:
        return {re.sub("([A-Z])", lambda m: f"_{m[1].lower()}", k): v for k, v in table.items()}

    assert snake(daemon["runMonitoring"]) == instance["run_monitoring"]
    assert snake(daemon["runRetries"]) == instance["run_retries"]


def pins(name: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for package, version in re.findall(r"^([a-z0-9._-]+)==(\S+)", (ROOT / name).read_text(), re.M):
        found.setdefault(package, set()).add(version)
    return found


def test_the_image_installs_what_was_tested() -> None:
    """Else the suite vouches for other versions than those that run."""
    ours, image = pins("requirements.lock"), pins("deploy/requirements.lock")
    other = {name for name in image if name not in ADDED and image[name] != ours.get(name)}
    assert not other, "renew deploy/requirements.lock (docs/deployment.md, Upgrade)"
    wanted = {re.split(r"[<>=\[ ]", w)[0] for w in PROJECT["project"]["dependencies"]}
    assert wanted | ADDED <= set(image)
    assert all(version.startswith("2.0.") for version in image["sqlalchemy"])
    text = (DEPLOY / "requirements.lock").read_text()
    assert "://" not in text
    blocks = re.split(r"\n(?=[a-z0-9])", text.strip())
    assert all("==" in block and "--hash=sha256:" in block for block in blocks)


def test_versions_and_names_in_the_page_are_the_projects(tmp_path: Path) -> None:
    """A page that names another job or version than there is."""
    page = (ROOT / "docs" / "deployment.md").read_text()
    (dagster,) = pins("requirements.lock")["dagster"]
    assert set(re.findall(r"--version (\S+)", page)) == {dagster}
    tags = {load("compose/compose.yaml")["x-optout"]["image"].split(":")[1]}
    tags |= set(re.findall(r"tag: (\S+)", (DEPLOY / "helm" / "values.yaml").read_text()))
    assert tags == {PROJECT["project"]["version"]}
    config = tmp_path / "optout.toml"
    config.write_text(files("optout").joinpath("optout.template.toml").read_text())
    repository = build_definitions(config).get_repository_def()
    there = {d.name for d in (*repository.schedule_defs, *repository.get_all_jobs())}
    assert {"nightly_sync_job", "nightly_sync_schedule"} <= there
    assert set(re.findall(r"`(\w+_(?:job|schedule))`", page)) <= there


@pytest.mark.parametrize("name", UNRUN)
def test_what_was_not_run_says_so(name: str) -> None:
    """Whoever takes a file for proven does not try it first."""
    head = (DEPLOY / name).read_text().splitlines()[:4]
    assert any("Unrun" in line for line in head)
    assert Path(name).name in (ROOT / "docs" / "deployment.md").read_text()
