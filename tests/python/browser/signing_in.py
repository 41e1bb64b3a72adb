"""Who is let in, and for how long."""

import http.server
import os
import subprocess
import threading
from contextlib import contextmanager

from playwright.sync_api import expect


def a_wrong_key_is_refused_and_the_right_one_leads_back(console):
    with console.page() as page:
        page.goto("/workers?x=1")
        assert page.url.endswith("/sign-in?to=%2Fworkers%3Fx%3D1"), page.url
        console.fill_sign_in(page, "ada", "offboarder_wrong")
        expect(page.get_by_role("alert")).to_have_text("This name and key do not go together.")
        console.fill_sign_in(page, "ada", console.known["people"]["ada"])
        page.wait_for_url("**/workers?x=1")
        expect(page.locator("header")).to_contain_text("ada (admin)")

        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url("**/sign-in")
        page.go_back()
        expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def a_session_that_ended_leads_to_the_form(console):
    """The script finds out by itself, at its next request."""
    with console.page() as page:
        page.clock.install()
        page.goto("/sign-in?to=/workers")
        console.fill_sign_in(page, "bob", console.known["people"]["bob"])
        expect(page.get_by_role("heading", level=1)).to_have_text("Workers")
        redis = ["redis-cli", "-u", os.environ["OFFBOARDER_CHECKPOINTS_URL"]]
        keys = subprocess.run([*redis, "--scan", "--pattern", "offboarder:session:*"], capture_output=True, check=True)
        names = keys.stdout.split()
        assert names, "a session is in Redis"
        subprocess.run([*redis, "del", *names], capture_output=True, check=True)
        console.sessions.clear()
        page.clock.run_for(6_000)
        page.wait_for_url("**/sign-in?to=%2Fworkers")


def a_form_that_is_sent_after_the_session_ended_keeps_what_was_typed(console):
    with console.page() as page:
        page.goto("/sign-in?to=/urgent")
        console.fill_sign_in(page, "bob", console.known["people"]["bob"])
        page.get_by_label("User IDs").fill(console.known["users"][0])
        page.get_by_label("Why").fill("a reason that took long to write")
        redis = ["redis-cli", "-u", os.environ["OFFBOARDER_CHECKPOINTS_URL"]]
        keys = subprocess.run([*redis, "--scan", "--pattern", "offboarder:session:*"], capture_output=True, check=True)
        subprocess.run([*redis, "del", *keys.stdout.split()], capture_output=True, check=True)
        console.sessions.clear()
        page.get_by_role("button", name="Move to the urgent lane").click()
        expect(page.get_by_role("alert").first).to_have_text("Your session has ended. Sign in again. Nothing was done.")
        expect(page.locator("main dl")).to_contain_text("a reason that took long to write")
        console.fill_sign_in(page, "bob", console.known["people"]["bob"])
        page.wait_for_url("**/urgent")
        expect(page.get_by_label("Why")).to_have_value("")


def a_removed_person_is_gone(console):
    with console.page("cyd") as page:
        page.goto("/workers")
        expect(page.locator("header")).to_contain_text("cyd (reader)")
        command = [console.known["program"], "people", "remove", "cyd", "--why", "left"]
        subprocess.run(command, check=True, capture_output=True, cwd=console.directory)
        page.reload()
        expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


@contextmanager
def foreign_site(form):
    """A page of another origin, and of the same site, so that the browser sends the cookie."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(form.encode())

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()


def a_page_of_another_origin_changes_nothing(console):
    form = f'<form method="post" action="{console.origin}/pause"><input name="why" value="x"><button>Win</button></form>'
    with foreign_site(form) as site, console.page("ada", foreign=True) as page:
        page.goto(site)
        with page.expect_response("**/pause") as answer:
            page.get_by_role("button").click()
        sent = answer.value.request.all_headers()
        assert "offboarder" in sent.get("cookie", ""), sent
        assert answer.value.status == 403, answer.value.status
        expect(page.locator("body")).to_contain_text("foreign_origin")
        page.goto(f"{console.origin}/workers")
        expect(page.locator("main")).not_to_contain_text("Paused by")


TESTS = [
    a_wrong_key_is_refused_and_the_right_one_leads_back,
    a_session_that_ended_leads_to_the_form,
    a_form_that_is_sent_after_the_session_ended_keeps_what_was_typed,
    a_removed_person_is_gone,
    a_page_of_another_origin_changes_nothing,
]
