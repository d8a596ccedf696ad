// The engines by their names. Where a browser is that is not Debian's: AUTH_TEST_CHROMIUM,
// AUTH_TEST_FIREFOX, AUTH_TEST_WEBKIT (a WebKitWebDriver) and AUTH_TEST_MINIBROWSER.

import { Chromium } from "./chromium.mjs";
import { Firefox } from "./firefox.mjs";
import { WebKit } from "./webkit.mjs";

export const ENGINES = { chromium: Chromium, firefox: Firefox, webkit: WebKit };
