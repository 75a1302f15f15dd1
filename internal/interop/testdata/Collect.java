// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

import com.sun.mail.pop3.POP3Folder;
import com.sun.mail.pop3.POP3Message;
import jakarta.mail.Flags;
import jakarta.mail.Folder;
import jakarta.mail.Message;
import jakarta.mail.Session;
import jakarta.mail.Store;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.HashSet;
import java.util.Properties;
import java.util.Set;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/** Collect TLS PORT USER CAFILE OUT delete|leave MECHANISM, the password on standard input. */
public class Collect {
    public static void main(String[] args) throws Exception {
        String tls = args[0], port = args[1], user = args[2], ca = args[3], out = args[4];
        boolean delete = args[5].equals("delete");
        String password = new String(System.in.readAllBytes(), "UTF-8");

        String protocol = tls.equals("implicit") ? "pop3s" : "pop3";
        Properties settings = new Properties();
        settings.put("mail." + protocol + ".ssl.socketFactory", trusting(ca).getSocketFactory());
        settings.setProperty("mail." + protocol + ".ssl.checkserveridentity", "true");
        settings.setProperty("mail." + protocol + ".starttls.enable", String.valueOf(tls.equals("stls")));
        settings.setProperty("mail." + protocol + ".starttls.required", String.valueOf(tls.equals("stls")));
        if (args[6].equals("APOP")) {
            settings.setProperty("mail." + protocol + ".apop.enable", "true");
        } else if (!args[6].isEmpty()) {
            // What it calls LOGIN is USER and PASS.
            settings.setProperty("mail." + protocol + ".auth.mechanisms", args[6].equals("USER") ? "LOGIN" : args[6]);
        }
        Store store = Session.getInstance(settings).getStore(protocol);
        store.connect("localhost", Integer.parseInt(port), user, password);
        POP3Folder inbox = (POP3Folder) store.getFolder("INBOX");
        inbox.open(delete ? Folder.READ_WRITE : Folder.READ_ONLY);
        Set<String> uids = new HashSet<>();
        for (Message message : inbox.getMessages()) {
            ByteArrayOutputStream text = new ByteArrayOutputStream();
            message.writeTo(text);
            if (!uids.add(inbox.getUID(message))) {
                throw new Exception("a UID comes twice");
            }
            Files.write(Path.of(out, String.valueOf(message.getMessageNumber())), text.toByteArray());
            message.setFlag(Flags.Flag.DELETED, delete);
        }
        inbox.close(delete);
        store.close();
    }

    static SSLContext trusting(String ca) throws Exception {
        KeyStore known = KeyStore.getInstance(KeyStore.getDefaultType());
        known.load(null);
        try (InputStream in = Files.newInputStream(Path.of(ca))) {
            known.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(in));
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(known);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        return context;
    }
}
