// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import "restante.example/internal/texts"

// spanish has the texts for people in Spanish, by the English ones.
var spanish = texts.Table{
	// Accounts and flags.
	"restante: %v; see restante --help": "restante: %v; vea restante --help",
	"restante: %v":                      "restante: %v",
	"%v":                                "%v",
	"the accounts cannot be used:\n%v":  "las cuentas no se pueden usar:\n%v",
	"there is no file %s with accounts; write one, or name a server with --server":                           "no hay ningún archivo %s con cuentas; escriba uno, o indique un servidor con --server",
	"the accounts cannot be read: %v":                                                                        "no se pueden leer las cuentas: %v",
	"there is no account %s; restante status shows which there are":                                          "no hay ninguna cuenta %s; restante status muestra las que hay",
	"name accounts or a server, not both":                                                                    "indique cuentas o un servidor, no ambas cosas",
	"name an account, or a server with --server":                                                             "indique una cuenta, o un servidor con --server",
	"these flags describe a server, and none is named; add --server HOST[:PORT]":                             "estas opciones describen un servidor y no se ha indicado ninguno; añada --server HOST[:PUERTO]",
	"where mail goes and what stays is written in the file for its accounts; with --server the flags say it": "para las cuentas del archivo, es el archivo el que dice adónde va el correo y qué se queda; con --server lo dicen las opciones",
	"%d accounts, nothing wrong.":                                                                            "%d cuentas, ningún error.",
	"1 account, nothing wrong.":                                                                              "1 cuenta, ningún error.",

	// Passwords.
	"Password of %s at %s: ":                                "Contraseña de %s en %s: ",
	"Password of %s: ":                                      "Contraseña de %s: ",
	"no password was given":                                 "no se dio ninguna contraseña",
	"the keyring does not take the password: %v":            "el llavero no acepta la contraseña: %v",
	"The keyring has the password of %s.":                   "El llavero tiene la contraseña de %s.",
	"restante run has the password of %s and signs in now.": "restante run tiene la contraseña de %s y entra ahora.",

	// What can go wrong.
	"interrupted; the next run goes on from here":                                                                      "interrumpido; la próxima vez seguirá desde aquí",
	"another restante is collecting for this account; try again when it is done":                                       "otro restante está recogiendo el correo de esta cuenta; inténtelo cuando termine",
	"there is no password, and no terminal to ask on; name a password_command (--password-command) or a password_file": "no hay contraseña ni terminal donde pedirla; indique password_command (--password-command) o password_file",
	"the password cannot be read: %s":                                                                                  "no se puede leer la contraseña: %s",
	"%s does not speak TLS on this port; try --tls implicit with port 995, or --tls stls with port 110":                "%s no habla TLS en este puerto; pruebe --tls implicit con el puerto 995, o --tls stls con el 110",
	"%s says nothing in clear text; perhaps this port wants TLS from the start: try --tls implicit":                    "%s no dice nada sin cifrar; quizá este puerto quiera TLS desde el principio: pruebe --tls implicit",
	"the destination %s cannot be used: %s":                                                                            "el destino %s no se puede usar: %s",
	"the journal cannot be used: %s":                                                                                   "no se puede usar el diario: %s",
	"the journal cannot be used: %v":                                                                                   "no se puede usar el diario: %v",
	"%s offers no TLS on this port, and the password is not sent without; try --tls implicit":                          "%s no ofrece TLS en este puerto, y sin él no se envía la contraseña; pruebe --tls implicit",
	"the server refuses the user name or the password: %s; many providers want an app password here":                   "el servidor rechaza el usuario o la contraseña: %s; muchos proveedores piden aquí una contraseña de aplicación",
	"another program is collecting from this mailbox: %s; try again later":                                             "otro programa está recogiendo de este buzón: %s; inténtelo más tarde",
	"the server wants some time between two sign-ins: %s; try again later":                                             "el servidor exige un tiempo entre dos entradas: %s; inténtelo más tarde",
	"the server cannot serve now: %s; try again later":                                                                 "el servidor no puede atender ahora: %s; inténtelo más tarde",
	"the server refuses: %s":                          "el servidor se niega: %s",
	"there is no proxy %s; is the name right?":        "no hay ningún proxy %s; ¿es correcto el nombre?",
	"%s through the proxy %s":                         "%s a través del proxy %s",
	"there is no server %s; is the name right?":       "no hay ningún servidor %s; ¿es correcto el nombre?",
	"the server does not behave as a POP3 server: %s": "el servidor no se comporta como un servidor POP3: %s",
	"%s does not answer: %s":                          "%s no contesta: %s",
	"the connection to %s failed: %s":                 "la conexión con %s falló: %s",
	"the certificate of %s is not the pinned one. It has the fingerprint\n  %s\nIf the server's owner confirms that it was renewed, pin that one instead; if not, somebody may be listening.":                                           "el certificado de %s no es el fijado. Su huella es\n  %s\nSi el dueño del servidor confirma que se ha renovado, fije esa; si no, puede que alguien esté escuchando.",
	"the certificate of %s cannot be trusted: %s\nIt has the fingerprint\n  %s\nIf the server's owner confirms it, trust just that one with --pin (pin = in the file); if an authority of your own has signed it, name that with --ca.": "no se puede confiar en el certificado de %s: %s\nSu huella es\n  %s\nSi el dueño del servidor la confirma, confíe solo en él con --pin (pin = en el archivo); si lo ha firmado una autoridad propia, indíquela con --ca.",

	// Collecting.
	"%s: message %s is left on the server: %s":                                                                                     "%s: el mensaje %s se queda en el servidor: %s",
	"%s: message %s is left on the server: it is in UTF-8, and the server does not offer to send it so":                            "%s: el mensaje %s se queda en el servidor: está en UTF-8, y el servidor no ofrece enviarlo así",
	"the user name or the password has letters beyond ASCII, which %s does not say that it takes; use a password of ASCII letters": "el nombre de usuario o la contraseña tiene letras fuera de ASCII, que %s no dice aceptar; use una contraseña de letras ASCII",
	"%s: would collect message %s, %s":                                                                                             "%s: se recogería el mensaje %s, %s",
	"%s: %s of %s messages, %s of %s, %s/s, %s left":                                                                               "%s: %s de %s mensajes, %s de %s, %s/s, faltan %s",
	"%s: 1 more message is left on the server with the same reason as message %s":                                                  "%s: 1 mensaje más se queda en el servidor por lo mismo que el mensaje %s",
	"%s: %d more messages are left on the server with the same reason as message %s":                                               "%s: %d mensajes más se quedan en el servidor por lo mismo que el mensaje %s",
	"%s: note: %s": "%s: nota: %s",
	"%s: %d messages could not be collected and are still on the server; the next run tries again": "%s: no se pudieron recoger %d mensajes y siguen en el servidor; la próxima vez se intentará de nuevo",
	"%s: 1 message could not be collected and is still on the server; the next run tries again":    "%s: no se pudo recoger 1 mensaje y sigue en el servidor; la próxima vez se intentará de nuevo",
	"%s: would collect %d messages; nothing was changed":                                           "%s: se recogerían %d mensajes; no se ha cambiado nada",
	"%s: would collect 1 message; nothing was changed":                                             "%s: se recogería 1 mensaje; no se ha cambiado nada",
	"%s: no new mail (%d messages on the server)":                                                  "%s: no hay correo nuevo (%d mensajes en el servidor)",
	"%s: no new mail (1 message on the server)":                                                    "%s: no hay correo nuevo (1 mensaje en el servidor)",
	"%s: collected %d messages, %s":                                                                "%s: recogidos %d mensajes, %s",
	"%s: collected 1 message, %s":                                                                  "%s: recogido 1 mensaje, %s",
	"%s: stopping when the message that is being filed is filed; a second signal ends it at once":  "%s: termina en cuanto se guarde el mensaje que se está guardando; otra señal lo termina en el acto",
	"; deleted %d on the server":                                                                   "; borrados %d en el servidor",
	"; deleted 1 on the server":                                                                    "; borrado 1 en el servidor",
	"; left %d that are too large":                                                                 "; %d demasiado grandes se han dejado",
	"; left 1 that is too large":                                                                   "; 1 demasiado grande se ha dejado",
	"; there may be more after %s":                                                                 "; puede haber más dentro de %s",

	// Listing and status.
	"a collection is under way, so what was collected is not shown":              "hay una recogida en marcha, así que no se muestra qué se ha recogido",
	"the header of message %s is too long, so those from there on are not shown": "la cabecera del mensaje %s es demasiado larga, así que no se muestran desde ahí",
	"There is no mail.":                            "No hay correo.",
	"NUMBER\tDATE\tFROM\tSUBJECT\tSIZE\tCOLLECTED": "NÚMERO\tFECHA\tDE\tASUNTO\tTAMAÑO\tRECOGIDO",
	"yes":    "sí",
	"no":     "no",
	"partly": "en parte",
	"ACCOUNT\tLAST SUCCESS\tNEXT POLL\tFILED\tLEFT\tSTATE": "CUENTA\tÚLTIMO ÉXITO\tPRÓXIMA\tRECOGIDOS\tQUEDAN\tESTADO",
	"waits for its password: restante unlock %s":           "espera su contraseña: restante unlock %s",
	"not polled yet":                                  "aún no consultada",
	"%d messages could not be collected":              "no se pudieron recoger %d mensajes",
	"1 message could not be collected":                "no se pudo recoger 1 mensaje",
	"all is filed":                                    "todo está guardado",
	"another restante run is up with the state in %s": "ya hay otro restante run con el estado en %s",
	"the socket for passwords cannot be opened: %v":   "no se puede abrir el zócalo para contraseñas: %v",
	"no restante run is up with the state in %s":      "no hay ningún restante run con el estado en %s",
}
