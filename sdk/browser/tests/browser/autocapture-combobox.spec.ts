/** What a combobox shows was chosen by the visitor: it is never sent, also where the combobox is a button. */
import { arrived, openWith, propertiesOf } from "./support/modules.ts";
import { expect, test } from "./support/world.ts";

test("a button that is a combobox is captured without what it shows", async ({ world }) => {
  const page = await openWith(
    world,
    { autocapture: { dead_clicks: false, rage_clicks: false } },
    `<button id="country" role="combobox" type="button"><span>Chosen by Ann</span></button>`,
  );
  await page.click("#country");
  const [clicked] = propertiesOf(await arrived(world, page), "user_action");
  expect(clicked).toMatchObject({ element_type: "button", element_id: "country", element_role: "combobox" });
  expect(clicked).not.toHaveProperty("element_text");
});
