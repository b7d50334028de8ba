/** The demo shop, written as a customer would write one: everything about analytics is a call of `analytics`. */
"use strict";

// First of all, so that the modules see the page from its beginning. Nothing is stored or sent before consent.
const analytics = new OpenBioCureAnalytics({
  endpoint: `${location.origin}/api/analytics`,
  write_key: globalThis.demo?.write_key,
  consent: "pending",
  enable_debug: true,
  modules: { autocapture: true, "web-vitals": true, errors: true, engagement: true },
});
analytics.initialize();

const CURRENCY = "EUR";
const PRODUCTS = {
  sencha: { name: "Sencha", price: 9.5, about: "Green, grassy, and kind to those who forget it in the pot." },
  "earl-grey": { name: "Earl Grey", price: 7.9, about: "Black tea with bergamot, for grey mornings." },
  peppermint: { name: "Peppermint", price: 5.4, about: "No caffeine, no regrets." },
  kettle: { name: "Kettle", price: 49, about: "One litre, steel, and a whistle you can take off." },
  infuser: { name: "Infuser", price: 12.5, about: "A basket that fits most cups." },
  cup: { name: "Cup", price: 14, about: "Stoneware, 300 ml, each a little different." },
};

const byId = (id) => document.getElementById(id);
const money = (amount) => new Intl.NumberFormat("en", { style: "currency", currency: CURRENCY }).format(amount);

// --- the cart: product ids, kept for this tab ---

const readCart = () => JSON.parse(sessionStorage.getItem("shop-cart") ?? "[]");
const totalOf = (cart) => cart.reduce((sum, id) => sum + PRODUCTS[id].price, 0);

const writeCart = (cart) => {
  sessionStorage.setItem("shop-cart", JSON.stringify(cart));
  byId("cart-count").textContent = cart.length;
};

// --- what each route shows ---

const showCatalogue = () => {
  byId("products").replaceChildren(
    ...Object.entries(PRODUCTS).map(([id, { name, price }]) => {
      const card = byId("card").content.cloneNode(true);
      const link = card.querySelector("a");
      link.href = `/demo/product/${id}`;
      link.dataset.obcPropProduct = id;
      link.querySelector("strong").textContent = name;
      link.querySelector(".price").textContent = money(price);
      return card;
    }),
  );
};

const showProduct = (id) => {
  const { name, price, about } = PRODUCTS[id];
  byId("product-name").textContent = name;
  byId("product-about").textContent = about;
  byId("product-price").textContent = money(price);
  byId("add").onclick = () => {
    writeCart([...readCart(), id]);
    analytics.track("product_added", { product: id, price, currency: CURRENCY }, "commerce");
  };
  analytics.track("product_viewed", { product: id, price, currency: CURRENCY }, "commerce");
};

const showCart = () => {
  const cart = readCart();
  byId("lines").replaceChildren(
    ...cart.map((id) => {
      const line = document.createElement("li");
      line.textContent = `${PRODUCTS[id].name}, ${money(PRODUCTS[id].price)}`;
      return line;
    }),
  );
  byId("total").textContent = money(totalOf(cart));
  byId("to-checkout").hidden = !cart.length;
};

const showCheckout = () => {
  analytics.track("checkout_started", { items: readCart().length }, "commerce");
};

const ROUTES = { "": ["catalogue", showCatalogue], product: ["product", showProduct], cart: ["cart", showCart], checkout: ["checkout", showCheckout], thanks: ["thanks", () => {}] };

const show = () => {
  const [, , first = "", product] = location.pathname.split("/");
  const known = first === "product" && !Object.hasOwn(PRODUCTS, product) ? "" : first;
  const [name, fill] = ROUTES[known] ?? ROUTES[""];
  for (const section of document.querySelectorAll("main > section")) section.hidden = section.id !== name;
  document.title = `${byId(name).dataset.title} · Kettle & Leaf`;
  fill(product);
};

const go = (path) => {
  history.pushState(null, "", path);
  show();
};

// --- what visitors do ---

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='/demo']");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go(link.getAttribute("href"));
});

addEventListener("popstate", show);

byId("order").addEventListener("submit", (event) => {
  event.preventDefault();
  const cart = readCart();
  byId("buyer").textContent = `, ${new FormData(event.target).get("name")}`;
  analytics.identify(`customer-${crypto.randomUUID()}`);
  analytics.track("purchase", { value: totalOf(cart), currency: CURRENCY, items: cart.length }, "commerce");
  event.target.reset();
  writeCart([]);
  go("/demo/thanks");
});

byId("broken").addEventListener("click", () => {
  const voucher = undefined;
  voucher.redeem();
});

byId("rejected").addEventListener("click", () => {
  void Promise.reject(new RangeError("stars must be between 1 and 5"));
});

byId("look").addEventListener("click", () => {
  byId("stats").hidden = false;
  byId("stats").textContent = JSON.stringify(analytics.getStats(), null, 2);
});

// --- consent: the SDK keeps the decision; the shop keeps that it was made ---

const decide = (decision) => {
  if (decision === "granted") analytics.optIn();
  else analytics.optOut();
  localStorage.setItem("shop-consent", decision);
  byId("consent").hidden = true;
};

byId("accept").addEventListener("click", () => decide("granted"));
byId("decline").addEventListener("click", () => decide("denied"));
byId("privacy").addEventListener("click", () => {
  byId("consent").hidden = false;
});

byId("consent").hidden = localStorage.getItem("shop-consent") !== null;
writeCart(readCart());
show();
// The first page; autocapture sees the others, which are routes of the same page.
analytics.trackPageView(location.pathname);
