// A certificate for this run, signed by itself: a dozen lines of DER instead of a tool to install.

import { createHash, createSign, generateKeyPairSync, randomBytes } from "node:crypto";

const der = (tag, ...parts) => {
  const body = Buffer.concat(parts);
  const length = body.length < 128 ? [body.length] : body.length < 256 ? [0x81, body.length] : [0x82, body.length >> 8, body.length & 255];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
};
const sequence = (...parts) => der(0x30, ...parts);
const oid = (hex) => der(0x06, Buffer.from(hex, "hex"));
const time = (at) => der(0x17, Buffer.from(`${at.toISOString().replace(/[-:T]/g, "").slice(2, 14)}Z`));

/** `{ key, cert, spki }`: PEM, PEM, and the hash by which the browser is told to accept it. */
export function makeCertificate(names) {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const spki = publicKey.export({ type: "spki", format: "der" });
  const ecdsaSha256 = sequence(oid("2a8648ce3d040302"));
  const name = sequence(der(0x31, sequence(oid("550403"), der(0x0c, Buffer.from("browser tests")))));
  const hour = 3_600_000;
  const validity = sequence(time(new Date(Date.now() - hour)), time(new Date(Date.now() + 24 * hour)));
  const alternatives = sequence(...names.map((dns) => der(0x82, Buffer.from(dns))));
  const extensions = der(0xa3, sequence(sequence(oid("551d11"), der(0x04, alternatives))));
  const serial = Buffer.concat([Buffer.from([0x01]), randomBytes(15)]);
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))), der(0x02, serial), ecdsaSha256,
    name, validity, name, spki, extensions,
  );
  const signature = createSign("sha256").update(body).sign(privateKey);
  const whole = sequence(body, ecdsaSha256, der(0x03, Buffer.from([0]), signature));
  const lines = whole.toString("base64").replace(/.{1,64}/g, "$&\n");
  return {
    key: privateKey.export({ type: "pkcs8", format: "pem" }),
    cert: `-----BEGIN CERTIFICATE-----\n${lines}-----END CERTIFICATE-----\n`,
    spki: createHash("sha256").update(spki).digest("base64"),
  };
}
