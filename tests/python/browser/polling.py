"""When the script asks for a page again. The clock of the page is the test's."""

from playwright.sync_api import expect

FRAGMENT = "**/_/**"


def set_hidden(page, is_hidden):
    page.evaluate(
        "(is) => { Object.defineProperty(document, 'hidden', { configurable: true, get: () => is });"
        "document.dispatchEvent(new Event('visibilitychange')); }",
        is_hidden,
    )


def asked(page):
    """The list of fragments that the page asks for from now on."""
    found = []
    page.on("request", lambda request: found.append(request.url) if "/_/" in request.url else None)
    return found


def a_hidden_tab_asks_for_nothing(console):
    with console.page("ada") as page:
        page.clock.install()
        page.goto("/workers")
        requests = asked(page)
        with page.expect_response(FRAGMENT):
            page.clock.run_for(5_000)
        assert len(requests) == 1, requests
        set_hidden(page, True)
        page.clock.run_for(120_000)
        # An answer of the worker shows that nothing else was on its way.
        page.evaluate("fetch('/help').then((answer) => answer.text())")
        assert len(requests) == 1, requests
        with page.expect_response(FRAGMENT):
            set_hidden(page, False)
        assert len(requests) == 2, requests


def what_is_typed_is_not_taken_away(console):
    with console.page("ada") as page:
        page.clock.install()
        page.goto("/batches/b-done/users")
        requests = asked(page)
        field = page.get_by_label("ID begins with")
        field.fill("abc")
        page.clock.run_for(30_000)
        expect(page.locator("#waiting")).to_have_text("Updates wait while you type.")
        assert field.input_value() == "abc" and not requests, requests


def ticked_rows_stay_as_they_are(console):
    with console.page("ada") as page:
        page.clock.install()
        page.goto("/batches/b-done/users")
        requests = asked(page)
        boxes = page.locator("tbody input[type=checkbox]")
        boxes.nth(0).check()
        page.clock.run_for(30_000)
        expect(page.locator("#waiting")).to_have_text("Updates wait while 1 row is ticked.")
        boxes.nth(1).check()
        page.clock.run_for(30_000)
        expect(page.locator("#waiting")).to_have_text("Updates wait while 2 rows are ticked.")
        assert boxes.nth(0).is_checked() and not requests, requests
        for box in (0, 1):
            boxes.nth(box).uncheck()
        with page.expect_response(FRAGMENT):
            page.clock.run_for(5_000)
        expect(page.locator("#waiting")).to_be_hidden()


def the_address_of_a_view_is_copied_and_opens_it_again(console):
    with console.page("ada") as page:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.goto("/batches/b-done/users?state=Deleted")
        rows = page.locator("tbody tr").count()
        page.get_by_role("button", name="Copy the address of this page").click()
        expect(page.locator("#said")).to_have_text("Copied.")
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied == page.url, copied
        page.goto("/")
        page.goto(copied)
        assert page.locator("tbody tr").count() == rows == 3


def a_page_that_is_old_says_so(console):
    with console.page("ada") as page:
        page.clock.install()
        page.goto("/workers")
        page.route(FRAGMENT, lambda route: route.abort())
        for _ in range(2):
            with page.expect_event("requestfailed"):
                page.clock.run_for(5_000)
        expect(page.locator("#stale")).to_contain_text("Not current: the worker has not answered since")
        page.unroute(FRAGMENT)
        with page.expect_response(FRAGMENT):
            page.clock.run_for(5_000)
        expect(page.locator("#stale")).to_be_hidden()


TESTS = [
    a_hidden_tab_asks_for_nothing,
    what_is_typed_is_not_taken_away,
    ticked_rows_stay_as_they_are,
    the_address_of_a_view_is_copied_and_opens_it_again,
    a_page_that_is_old_says_so,
]
