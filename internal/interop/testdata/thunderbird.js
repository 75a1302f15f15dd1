// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Run in Thunderbird's window with PASSWORD and CAFILE: what the person does who
// types the password, takes the certificate once, and asks for new mail.
const [password, ca, done] = arguments;
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");

async function collect() {
  const server = MailServices.accounts.allServers.find(s => s.type == "pop3");
  server.password = password;

  const pem = await IOUtils.readUTF8(ca);
  const certificate = Cc["@mozilla.org/security/x509certdb;1"]
    .getService(Ci.nsIX509CertDB)
    .constructX509FromBase64(pem.replace(/-----[^-]*-----|\s/g, ""));
  Cc["@mozilla.org/security/certoverride;1"]
    .getService(Ci.nsICertOverrideService)
    .rememberValidityOverride("localhost", server.port, {}, certificate, false);

  let inbox = server.rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
  if (!inbox) {
    server.rootFolder.QueryInterface(Ci.nsIMsgLocalMailFolder).createLocalSubfolder("Inbox");
    inbox = server.rootFolder.getChildNamed("Inbox");
    inbox.setFlag(Ci.nsMsgFolderFlags.Inbox);
  }
  return new Promise(resolve => {
    const listener = { OnStartRunningUrl() {}, OnStopRunningUrl(_, status) { resolve(status); } };
    MailServices.pop3.GetNewMail(null, listener, inbox, server);
  });
}

collect().then(status => done(status.toString(16)), error => done(`${error} ${error.stack}`));
