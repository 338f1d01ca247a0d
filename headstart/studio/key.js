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
  const open = () => {
    dialog.showModal();
    text.focus();
  };
  open();
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
      dialog.removeEventListener("close", open);
      dialog.close();
      resolve(text.value);
    };
    $("key-form").addEventListener("submit", give);
    // Without the key there is nothing behind the dialog, and a browser lets Escape close it whatever `cancel` is told.
    dialog.addEventListener("close", open);
  });
}
