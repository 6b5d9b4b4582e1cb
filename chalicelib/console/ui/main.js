// The console: the frame around a page, and the choice of the page by the address.
//
// main.js        this: header, navigation, page
// api.js         calls of the API: problems, deadlines, repeats, who answered
// instances.js   who answered, and how often
// stores.js      whether each store answers
// live.js        polls, visibility, pause; the only timers of data
// socket.js      the WebSocket: a nudge, and frames of pages
// follow.js      the stream of a job, shared by all tabs
// held.js        a caller that waits for an answer
// route.js       addresses
// time.js        the server's clock, one formatter of times
// places.js      the pages: title, key, and who sees each
// keys.js        keys, and when none is taken
// money.js       amounts, in the digits of their currency
// chart.js       parts of bars, points of lines
// leads.js       leads from pasted text
// merge.js       what two people changed, field by field
// words.js       words for states
// preferences.js what this browser remembers
// parts/         what pages are made of
// pages/         one file for each page; a page imports parts, and of other pages shapes alone
// vendor/        Preact, htm and signals as one file
import { html, render, useEffect, useRef, useState } from "./vendor/ui.js";
import { session } from "./api.js";
import { begin as beginKeys } from "./keys.js";
import { begin, paused, refresh } from "./live.js";
import { Banner, config, watch } from "./parts/banner.js";
import { Keyboard } from "./parts/keyboard.js";
import { Empty } from "./parts/states.js";
import { Toast } from "./parts/toast.js";
import { ActivationPage } from "./pages/activation.js";
import { Activations } from "./pages/activations.js";
import { ApplicationPage } from "./pages/application.js";
import { Applications } from "./pages/applications.js";
import { ApprovalPage } from "./pages/approval.js";
import { Approvals } from "./pages/approvals.js";
import { Ask } from "./pages/ask.js";
import { Cluster } from "./pages/cluster.js";
import { Inbox } from "./pages/inbox.js";
import { Ledger } from "./pages/ledger.js";
import { Me } from "./pages/me.js";
import { Messages } from "./pages/messages.js";
import { Overview } from "./pages/overview.js";
import { PasswordPage, SET_PASSWORD } from "./pages/password.js";
import { Deliveries } from "./pages/deliveries.js";
import { DeliveryPage } from "./pages/delivery.js";
import { DeadLetters, Queues } from "./pages/queues.js";
import { ReceiverPage } from "./pages/receiver.js";
import { UserPage } from "./pages/user.js";
import { Users } from "./pages/users.js";
import { WebhookPage } from "./pages/webhook.js";
import { NewWebhook, Webhooks } from "./pages/webhooks.js";
import { resume, SignInDialog, SignInPage } from "./pages/signin.js";
import { Try } from "./pages/try.js";
import { landing, may, placeOf, places } from "./places.js";
import { begin as beginPreferences } from "./preferences.js";
import { begin as beginSocket } from "./socket.js";
import { follow, href, route } from "./route.js";

/** The component of each place, and of one thing in it.
 * @type {Record<string, (id: string) => () => unknown>} */
const PAGES = {
  overview: () => Overview,
  inbox: () => Inbox,
  approvals: (id) => id ? ApprovalPage : Approvals,
  ask: () => Ask,
  applications: (id) => id ? ApplicationPage : Applications,
  activations: (id) => id ? ActivationPage : Activations,
  ledger: () => Ledger,
  queues: (id) => id ? DeadLetters : Queues,
  webhooks: (id) => id === "new" ? NewWebhook : id ? WebhookPage : Webhooks,
  deliveries: (id) => id ? DeliveryPage : Deliveries,
  messages: () => Messages,
  cluster: () => Cluster,
  users: (id) => id ? UserPage : Users,
  try: () => Try,
  receiver: () => ReceiverPage,
  me: () => Me,
};

function Frame() {
  const known = useRef("");
  if (session.value) known.current = session.value.username;
  // A mailed link leads here, whoever is signed in with this browser.
  if (route.value.page === SET_PASSWORD) {
    return html`
      <${Banner} />
      <${PasswordPage} token=${route.value.id} />
    `;
  }
  if (session.value === undefined) {
    return html`<p class="quiet late center" aria-busy="true">Loading…</p>`;
  }
  // Without a session and without a page to return to, sign-in is the page.
  if (!known.current) {
    return html`
      <${Banner} />
      <${SignInPage} />
    `;
  }
  return html`
    <a class="skip" href="#main" onClick=${skip}>Skip to the page</a>
        <${Header} />
        <div class="frame">
      <${Menu} />
      <${Main} />
    </div>
        <${Toast} />
        <${Keyboard} />
        ${!session.value && html`<${SignInDialog} username=${known.current} />`}
  `;
}

/** @param {Event} event */
function skip(event) {
  // The address is the page's: the link moves the focus alone.
  event.preventDefault();
  document.getElementById("main")?.focus();
}

function Header() {
  const stage = config.value?.stage;
  const word = paused.value ? "Paused" : "Live";
  return html`
    <header class="top">
      <div class="bar">
          <a class="brand" href=${href(landing())}>Holdfast</a>
          ${stage && html`<span class="stage ${stage}">${stage}</span>`}
          <span class="gap"></span>
          <button type="button" class="plain live" aria-pressed=${paused.value}
            title=${paused.value
              ? "Nothing is asked until you continue"
              : "The page follows the server"}
            onClick=${() => (paused.value = !paused.value)}>
            <span class="dot ${paused.value
              ? "off"
              : ""}" aria-hidden="true"></span>${word}</button>
          <button type="button" class="plain" onClick=${refresh}>Refresh</button>
          <a class="who" href=${href("me")}>${session.value?.username}</a>
        </div>
      <${Banner} />
    </header>
  `;
}

function Menu() {
  const own = placeOf(route.value.page);
  const marked = own?.under ?? own?.page;
  return html`<nav class="menu" aria-label="Pages">${
    places().filter(({ menu }) => menu).map(({ page, title }) =>
      html`<a href=${href(page)} aria-current=${page === marked ? "page" : undefined}>${title}</a>`
    )
  }</nav>`;
}

function Main() {
  const { page, id } = route.value;
  const own = useRef(/** @type {HTMLElement | null} */ (null));
  const [first] = useState({ shown: false });
  const known = !!config.value;
  useEffect(() => {
    const title = own.current?.querySelector("h1")?.textContent ?? "";
    document.title = `${title} · Holdfast`;
  }, [page, id, known]);
  useEffect(() => {
    // The first page keeps the focus where the browser has it; later pages take the focus.
    if (first.shown) own.current?.focus();
    first.shown = true;
    scrollTo(0, 0);
  }, [page, id]);
  return html`
    <main id="main" ref=${own} tabindex="-1">
      <${Page} key="${page}/${id}" page=${page} id=${id} />
    </main>
  `;
}

/** @param {{page: string, id: string}} props */
function Page({ page, id }) {
  const place = placeOf(page);
  if (place && may(page)) return html`<${PAGES[place.page]?.(id)} />`;
  if (place) {
    const roles = new Intl.ListFormat("en", { type: "disjunction" }).format(place.roles);
    return html`
      <h1>${place.title}</h1>
      <${Empty} title="Your role does not see this page">
        <p>It needs the role ${roles}.</p>
        <//>
    `;
  }
  // Which pages there are hangs on the stage.
  if (!config.value) return html`<p class="quiet late" aria-busy="true">Loading…</p>`;
  return html`
    <h1>No such page</h1>
    <p><a href=${href("inbox")}>Go to the inbox</a></p>
  `;
}

beginPreferences();
follow();
begin();
beginKeys();
watch();
beginSocket();
resume();
const root = document.getElementById("console");
if (root) render(html`<${Frame} />`, root);
