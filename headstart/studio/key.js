// The dialog that asks for the key.
import { $ } from "./dom.js";

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
      if (!text.value) {
        $("key-wrong").textContent = "Type the key.";
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
