"""What holds of every page: axe finds nothing, it fits a narrow screen, its address opens the same view."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from support import open_dead_letters

# What axe calls minor is not a fault of a page here.
IMPACTS = {"moderate", "serious", "critical"}
# 400 % zoom of a screen of 1280 is the same.
NARROW = {"width": 320, "height": 640}


def addresses(console):
    """Every page of the menu, each kind of page behind it, and the forms of changes."""
    users = console.known["users"]
    with console.page("ada") as page:
        page.goto("/dead-letters")
        links = page.locator("table a[href^='/dead-letters/groups/']")
        groups = [link.get_attribute("href") for link in links.all()]
        open_dead_letters(page, groups[0], 1)
        message = page.locator("a[href^='/dead-letters/']:not([href*=groups])").first.get_attribute("href")
        page.goto("/")
        menu = [link.get_attribute("href") for link in page.locator("nav.menu a").all()]
    return [
        *menu,
        "/sign-in",
        "/workers/history",
        "/access?batch=b-two",
        "/batches/b-killed",
        "/batches/b-killed/users",
        "/batches/b-done",
        "/batches/b-done/hold",
        "/batches/b-done/users?removedWithinSeconds=86400",
        "/batches/b-done/users?state=Deleted&q=",
        f"/users/{users[0]}",
        f"/users/{users[-1]}",
        groups[0],
        message,
        f"/find?q={users[0][:8]}",
        "/operations/new?batch=b-killed",
        "/pause",
        "/holds/add",
        f"/holds/lift?users={users[0]}",
        "/batches/b-killed/cancel",
        "/batches/b-killed/pause",
        f"/urgent?user={users[0]}",
        f"{groups[0]}/ignore",
        f"{groups[0]}/owner",
        "/users/00000000-0000-4000-8000-000000000000",
    ]


def faults_of(page, address, look):
    found = Axe().run(page, options={"resultTypes": ["violations"]})
    return [
        f"{address} ({look}): {fault['id']}: {fault['help']}: {[node['html'][:200] for node in fault['nodes'][:3]]}"
        for fault in found.response["violations"]
        if fault["impact"] in IMPACTS
    ]


def axe_finds_nothing_on_any_page_light_dark_and_narrow(console):
    found = addresses(console)
    faults = []
    with console.page("ada") as page:
        for address in found:
            page.emulate_media(color_scheme="light")
            page.set_viewport_size({"width": 1280, "height": 800})
            page.goto(address)
            faults += faults_of(page, address, "light")
            page.emulate_media(color_scheme="dark")
            faults += faults_of(page, address, "dark")
            page.set_viewport_size(NARROW)
            faults += [*faults_of(page, address, "narrow"), *wider_than_narrow(page, address)]
    assert not faults, "\n".join(faults)


def wider_than_narrow(page, address):
    """Wide tables scroll by themselves; the page does not."""
    width = page.evaluate("document.documentElement.scrollWidth")
    if width <= NARROW["width"]:
        return []
    wide = page.evaluate(
        "[...document.querySelectorAll('*')].filter((one) => one.getBoundingClientRect().right > 320)"
        ".map((one) => one.outerHTML.slice(0, 120)).slice(0, 5)"
    )
    return [f"{address} is {width} wide: {wide}"]


def hostile_messages_are_text_and_fit_a_narrow_screen(console):
    with console.page("ada", viewport=NARROW) as page:
        page.goto("/dead-letters?reason=malformed_message")
        groups = [link.get_attribute("href") for link in page.locator("table a[href^='/dead-letters/groups/']").all()]
        messages = set()
        for group in groups:
            open_dead_letters(page, group, 1)
            links = page.locator("a[href^='/dead-letters/']:not([href*=groups])").all()
            messages |= {link.get_attribute("href") for link in links}
        assert len(messages) == 3, messages
        bodies = ""
        for message in sorted(messages):
            page.goto(message)
            assert page.title().startswith("Dead letter – "), page.title()
            assert page.locator("main script, main img").count() == 0
            assert not wider_than_narrow(page, message)
            bodies += page.locator("main").inner_text()
        assert "<script>document.title" in bodies and "w" * 9_000 in bodies
        assert not set("\u202e\u2066\u0007") & set(bodies)


def a_batch_and_a_user_are_printed_without_menu_and_with_whole_tables(console):
    with console.page("ada", viewport=NARROW) as page:
        page.emulate_media(media="print")
        for address in ["/batches/b-done", "/batches/b-done/users", f"/users/{console.known['users'][-1]}"]:
            page.goto(address)
            for hidden in ["nav.menu", "header.top", "a.skip", "footer", "main form", "main button"]:
                for one in page.locator(hidden).all():
                    assert not one.is_visible(), f"{address}: {hidden}"
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            for one in page.locator(".scroll").all():
                assert one.evaluate("(one) => getComputedStyle(one).overflowX") == "visible", address
            assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light", address
        assert page.locator("main dd").first.is_visible()


def an_id_in_the_audit_log_is_never_broken(console):
    with console.page("ada") as page:
        page.goto("/holds/add")
        page.locator("[name=users]").fill("\n".join(console.known["users"][:2]))
        page.get_by_label("Why").fill("case 4711")
        page.locator("main form button").click()
        for viewport in [{"width": 1280, "height": 800}, NARROW]:
            page.set_viewport_size(viewport)
            page.goto("/audit-log")
            ids = page.locator(".details .id")
            assert ids.count() >= 2
            lines = ids.first.evaluate("(one) => one.getClientRects().length")
            assert lines == 1, (viewport, lines)
            assert "{" not in page.locator(".details").first.inner_text()
            assert not wider_than_narrow(page, "/audit-log") or viewport is not NARROW


def an_address_that_is_sent_opens_the_same_view(console):
    with console.page("ada") as page:
        page.goto("/batches/b-killed/users")
        page.get_by_label("Access").select_option("true")
        page.get_by_label("ID begins with").fill(console.known["users"][0][:6])
        page.get_by_role("button", name="Show").click()
        expect(page.locator("tbody tr")).to_have_count(16)
        sent = page.url
        fields = [page.get_by_label("Access").input_value(), page.get_by_label("ID begins with").input_value()]
        rows = page.locator("tbody th").all_inner_texts()
    with console.page("bob") as page:
        page.goto(sent)
        assert [page.get_by_label("Access").input_value(), page.get_by_label("ID begins with").input_value()] == fields
        assert page.locator("tbody th").all_inner_texts() == rows


def a_bar_leads_to_its_users_by_keyboard_and_a_view_is_saved_without_the_script(console):
    with console.page("ada") as page:
        page.goto("/batches/b-done")
        bar = page.locator("svg a").first
        bar.focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**/batches/b-done/users?removed*")
        expect(page.locator("tbody tr").first).to_be_visible()
        of_bar = page.url
    with console.page("bob", java_script_enabled=False) as page:
        page.goto(of_bar)
        page.locator("#views summary").click()
        page.get_by_label("under which it is in the menu").fill("fast <b>")
        page.get_by_role("button", name="Save this view").click()
        page.goto("/holds")
        page.locator("nav.menu").get_by_role("link", name="fast <b>").click()
        assert page.url == of_bar, page.url
        page.locator("#views summary").click()
        page.get_by_role("button", name="Remove the view fast <b>").click()
        expect(page.locator("nav.menu .views")).to_have_count(0)


TESTS = [
    axe_finds_nothing_on_any_page_light_dark_and_narrow,
    hostile_messages_are_text_and_fit_a_narrow_screen,
    a_batch_and_a_user_are_printed_without_menu_and_with_whole_tables,
    an_id_in_the_audit_log_is_never_broken,
    an_address_that_is_sent_opens_the_same_view,
    a_bar_leads_to_its_users_by_keyboard_and_a_view_is_saved_without_the_script,
]
