/** Names under which a Chromium is installed, the first that is there is taken. */
export const CHROMIUM_NAMES = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"] as const;

/** What installs one on Debian and Ubuntu. */
export const CHROMIUM_INSTALL = "apt-get install chromium";
