"""Makes pictures of every page, light and dark: `make screenshots`.

screenshots.py PLAY PROGRAM DIRECTORY

PLAY is deploy/local/play.sh, which starts servers, a simulator with faults, a worker, and a batch of fifty users.
"""

import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile

from support import Console, browser, eventually

SIZE = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}


def admin(log):
    found = re.search(r'"admin HTTP".*?"listen":"([^"]+)"|"listen":"([^"]+)".*?"admin HTTP"', log.read_text()) if log.exists() else None
    return found and f"http://{found[1] or found[2]}"


def pages(console):
    """The name of a picture, and the address."""
    given_up = "00000001-5eed-4000-8000-000000000003"
    done = "00000001-5eed-4000-8000-000000000000"
    with console.page() as page:
        page.goto("/")
        menu = [link.get_attribute("href") for link in page.locator("nav.menu a").all()]
        page.goto("/dead-letters")
        group = page.locator("table a[href^='/dead-letters/groups/']").last.get_attribute("href")
        page.goto(group)
        message = page.locator("a[href^='/dead-letters/']:not([href*=groups])").first.get_attribute("href")
        page.goto("/operations")
        operation = page.locator("table a").first.get_attribute("href")
    named = [(address.strip("/") or "now", address) for address in menu]
    return [
        *named,
        ("batch", "/batches/play"),
        ("batch-users", "/batches/play/users"),
        ("user", f"/users/{done}"),
        ("user-given-up", f"/users/{given_up}"),
        ("group", group),
        ("dead-letter", message),
        ("replay", "/operations/new?batch=play"),
        ("operation", operation),
        ("pause", "/pause"),
        ("find", f"/find?q={done[:12]}"),
        ("workers-history", "/workers/history"),
        ("sign-in", "/sign-in"),
    ]


def change_something(console):
    """So that lists have rows."""
    with console.page() as page:
        page.goto("/holds/add")
        page.locator("[name=users]").fill("00000001-5eed-4000-8000-000000000030")
        page.get_by_label("Your name").fill("ada")
        page.get_by_label("Why").fill("case 4711")
        page.locator("main form button").click()
        page.goto("/operations/new?batch=play&user=00000001-5eed-4000-8000-000000000003")
        page.get_by_label("Your name").fill("bob")
        page.get_by_label("Why").fill("the profile is unlocked")
        page.get_by_role("button", name="Replay").click()


def picture(console, directory):
    with console.page(viewport=SIZE) as page:
        for name, address in pages(console):
            for theme in ["light", "dark"]:
                page.emulate_media(color_scheme=theme)
                page.set_viewport_size(SIZE)
                page.goto(address)
                page.screenshot(path=directory / f"{name}-{theme}.png")
            page.set_viewport_size(PHONE)
            page.screenshot(path=directory / f"{name}-narrow.png")
        print(f"pictures in {directory}")


def main():
    play, program, directory = (pathlib.Path(argument).resolve() for argument in sys.argv[1:])
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data:
        environment = {**os.environ, "OFFBOARDER_ADMIN_LISTEN": "127.0.0.1:0", "OFFBOARDER_ADMIN_NAME": "staging"}
        playing = subprocess.Popen([play, "run", data, program], stdout=subprocess.DEVNULL, env=environment)
        try:
            origin = eventually(lambda: playing.poll() is not None or admin(pathlib.Path(data) / "worker.log"))
            assert playing.poll() is None, "the playground ended"
            with browser() as started:
                console = Console(started, {"workers": [{"admin": origin}], "people": {}}, data)
                with console.page() as page:
                    eventually(lambda: page.goto("/batches/play") and "Nobody is in progress" in page.locator("main").inner_text())
                change_something(console)
                picture(console, directory)
        finally:
            playing.send_signal(signal.SIGTERM)
            playing.wait()


main()
