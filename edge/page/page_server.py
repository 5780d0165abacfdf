"""The operator page's own process: ``edge-inspect --http :8080`` starts it beside the inspection, ``edge-page serve`` alone."""

from __future__ import annotations

import argparse
import datetime
import logging
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console

from edge.clock import SystemClock
from edge.console.exit_code import reported
from edge.console.flags import add_bundle_flags, add_station_flag
from edge.errors import ConfigError
from edge.live.companion import accompany
from edge.page.accounts import FOLDER, AccountFile, Accounts
from edge.page.certificate import certificate_files, fingerprint
from edge.page.place import Place

MOST_CONNECTIONS = 256
NEEDED = ("fastapi", "uvicorn", "argon2", "multipart", "cryptography")


def main(arguments: list[str] | None = None) -> int:
    """Entry point of the companion; returns the exit code."""
    accompany()
    parser = argparse.ArgumentParser("edge-page serve", description=__doc__)
    add_page_flags(parser)
    options = parser.parse_args(arguments)
    console = Console(stderr=True)
    with reported("edge-page", console) as outcome:
        serve(options, console)
    return outcome.code


def add_page_flags(parser: argparse.ArgumentParser) -> None:
    """``http``, ``bundle``, ``state``, ``station``, ``recipes``, ``precision``: what is shown, and where."""
    add_bundle_flags(parser)
    add_station_flag(parser)
    parser.add_argument(
        "--recipes", type=Path, help="several products; default: EDGE_INSPECT_RECIPES, /etc/edge-inspect/recipes.yaml"
    )
    parser.add_argument("--precision", default="fp32", help="of the model that is calibrated (default: %(default)s)")
    parser.add_argument("--http", metavar="ADDRESS:PORT", help="in place of `page: listen:`; :8080 is this machine only")


def require_packages() -> None:
    """Raises ConfigError where what the page needs is not installed."""
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise ConfigError(
            f"the page needs {', '.join(missing)}; run: pip install 'edge-inspect[hmi]', or leave --http and `page:` out"
        )


def serve(options: argparse.Namespace, console: Console) -> None:
    """Until told to stop; raises ConfigError, OutputError."""
    require_packages()
    import uvicorn

    from edge.page.web.page_app import page_app
    from edge.page.web.patient_protocol import PatientProtocol

    clock = SystemClock()
    place = Place(options, clock)
    config = place.page
    if config.listen is None:
        raise ConfigError("nobody said where to serve the page; say --http :8080, or `page: {listen: …}` in the station file")
    host, port = config.host_and_port()
    tls: dict[str, Any] = {}
    if config.encrypted:
        certificate, key = certificate_files(config, place.state / FOLDER, datetime.datetime.now(datetime.timezone.utc))
        tls = {"ssl_certfile": str(certificate), "ssl_keyfile": str(key)}
        _say(console, f"page: the certificate's SHA-256 is {fingerprint(certificate)}")
    elif not config.loopback:
        _say(console, "page: passwords go over the network unencrypted; remove `page: tls: off`", "bold yellow")
    if not Accounts(AccountFile(place.state), clock).all():
        _say(
            console,
            f"page: nobody has an account; run: edge-page user add NAME --role engineer --state {place.state}",
            "bold yellow",
        )
    shown = f"[{host}]" if ":" in host else host
    _say(console, f"page: http{'s' if config.encrypted else ''}://{shown}:{port}")
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    server = uvicorn.Server(
        uvicorn.Config(
            page_app(place, clock),
            host=host,
            port=port,
            http=PatientProtocol,
            ws="none",
            workers=1,
            log_level="error",
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            limit_concurrency=MOST_CONNECTIONS,
            backlog=64,
            timeout_keep_alive=10,
            timeout_graceful_shutdown=2,
            h11_max_incomplete_event_size=16_384,
            lifespan="on",
            **tls,
        )
    )
    try:
        server.run()
    except SystemExit as error:  # how uvicorn says that it could not begin
        raise ConfigError(f"page: cannot serve at {host}:{port}; is another program there? choose another port") from error


def _say(console: Console, text: str, style: str = "") -> None:
    # A fingerprint may hold what rich takes for the name of an emoji, such as :AB:.
    console.print(text, style=style, markup=False, highlight=False, emoji=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
