// The dialog that asks for the key.
import { sendable } from "./api.js";
import { $ } from "./dom.js";

const FOREIGN = "A key is of plain letters, digits and signs; this one holds another character, such as a curly quote.";

/** Ask until something is given; told whether the last key was wrong. */
export function askKey(wrong) {
  const [dialog, text] = [$("key"), $("key-text")];
  $("key-wrong").textContent = wrong ? "That key is not the server's. Try again." : "";
  text.setAttribute("aria-invalid", String(wrong));
  text.value = "";
  dialog.showModal();
  text.focus();
  return new Promise((resolve) => {
    const give = (event) => {
      event.preventDefault();
      const lack = !text.value ? "Type the key." : sendable(text.value) ? "" : FOREIGN;
      if (lack) {
        $("key-wrong").textContent = lack;
        text.setAttribute("aria-invalid", "true");
        text.focus();
        return;
      }
      $("key-form").removeEventListener("submit", give);
      dialog.removeEventListener("cancel", stay);
      dialog.close();
      resolve(text.value);
    };
    // Without the key there is nothing behind the dialog.
    const stay = (event) => event.preventDefault();
    $("key-form").addEventListener("submit", give);
    dialog.addEventListener("cancel", stay);
  });
}
