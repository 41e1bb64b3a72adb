"""A browser that opens the console, and notes what no page may do."""

import os
import shutil
import time
from contextlib import contextmanager

from playwright.sync_api import expect, sync_playwright

PATIENCE_SECONDS = 60


def program():
    found = shutil.which("google-chrome") or shutil.which("chromium")
    assert found, "no Chromium; run deploy/local/install.sh browser"
    return found


@contextmanager
def browser():
    """One process for all tests."""
    expect.set_options(timeout=PATIENCE_SECONDS * 1000)
    with sync_playwright() as playwright:
        # The sandbox of Chromium does not work for root, who runs the tests in containers.
        started = playwright.chromium.launch(executable_path=program(), chromium_sandbox=os.geteuid() != 0)
        try:
            yield started
        finally:
            started.close()


class Console:
    """The console of one or more workers of a deployment."""

    def __init__(self, browser, known, directory):
        self.browser = browser
        self.known = known
        self.directory = directory
        self.origins = [worker["admin"] for worker in known["workers"]]
        self.faults = []
        self.sessions = {}

    @property
    def origin(self):
        return self.origins[0]

    @contextmanager
    def page(self, person=None, foreign=False, **options):
        """A page of a browser of its own; `person` is signed in."""
        if person and person not in self.sessions:
            self.sessions[person] = self.sign_in(person)
        context = self.browser.new_context(
            base_url=self.origin, storage_state=self.sessions.get(person), **options
        )
        context.set_default_timeout(PATIENCE_SECONDS * 1000)
        if not foreign:
            context.on("request", self.note_request)
            context.on("console", self.note_message)
            context.on("weberror", lambda error: self.faults.append(f"a fault of the script: {error.error}"))
        try:
            yield context.new_page()
        finally:
            context.close()

    def note_request(self, request):
        if not request.url.startswith((*self.origins, "data:")):
            self.faults.append(f"a request to elsewhere: {request.url}")

    def note_message(self, message):
        if "Content Security Policy" in message.text:
            self.faults.append(f"{message.page.url}: {message.text}")

    def sign_in(self, person):
        with self.page() as page:
            page.goto("/sign-in")
            self.fill_sign_in(page, person, self.known["people"][person])
            expect(page.locator("header")).to_contain_text(person)
            return page.context.storage_state()

    @staticmethod
    def fill_sign_in(page, name, key):
        page.get_by_label("Name", exact=True).fill(name)
        page.get_by_label("Key", exact=True).fill(key)
        page.get_by_role("button", name="Sign in").click()


def eventually(ask):
    """Asks until the answer is true."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not (answer := ask()):
        assert time.monotonic() < end, "not in time"
        time.sleep(0.05)
    return answer


def open_dead_letters(page, address, count):
    """Opens a list of dead letters, again while another reader hides some of them from it, as the page says."""
    eventually(lambda: page.goto(address) and page.locator("main tbody tr").count() >= count)
