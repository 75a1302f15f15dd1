// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import "restante.example/internal/texts"

// spanish has the texts for people in Spanish, by the English ones.
var spanish = texts.Table{
	// Common.
	"":                                    "",
	"restanted: %v; see restanted --help": "restanted: %v; vea restanted --help",
	"the configuration cannot be used:":   "la configuración no se puede usar:",
	"the configuration cannot be read: %v; name a file that is there with --config": "no se puede leer la configuración: %v; indique con --config un archivo que exista",
	"another command works on %s and does not come to its end; try again later":     "otra orden trabaja en %s y no termina; inténtelo más tarde",
	"%v; run the command as the owner of %s, or as root":                            "%v; ejecute la orden como propietario de %s, o como root",

	"there is no data directory %s; name another one with --data, or make it by adding a user": "no existe el directorio de datos %s; indique otro con --data, o créelo añadiendo un usuario",

	// Passwords.
	"The password of %s is: %s": "La contraseña de %s es: %s",
	"standard input is no terminal to ask for a password on; use --password-stdin or --generate": "la entrada estándar no es una terminal donde pedir una contraseña; use --password-stdin o --generate",
	"the password is too long; it may have 255 octets":                                           "la contraseña es demasiado larga; puede tener 255 octetos",
	"no password was given; nothing was changed":                                                 "no se dio ninguna contraseña; nada ha cambiado",
	"New password of %s: ": "Nueva contraseña de %s: ",
	"The same once more: ": "La misma otra vez: ",
	"the two passwords differ; nothing was changed, try again": "las dos contraseñas no coinciden; nada ha cambiado, inténtelo de nuevo",

	// Users and aliases.
	"there is no user %s; restanted user list shows who there is":             "no hay ningún usuario %s; restanted user list muestra los que hay",
	"the name %s is taken; nothing was changed":                               "el nombre %s ya está en uso; nada ha cambiado",
	"User %s has been added.":                                                 "Se ha añadido el usuario %s.",
	"  mail is kept in      %s":                                               "  su correo está en    %s",
	"  which was there before and holds %d messages: they are the new user's": "  que ya existía y tiene %d mensajes: son del nuevo usuario",
	"Settings for the mail program (POP3):":                                   "Ajustes para el programa de correo (POP3):",
	"  server %s, port %s, SSL/TLS, normal password":                          "  servidor %s, puerto %s, SSL/TLS, contraseña normal",
	"  server %s, port %s, STARTTLS, normal password":                         "  servidor %s, puerto %s, STARTTLS, contraseña normal",
	"  user name %s":                                      "  nombre de usuario %s",
	"The password of %s has been changed.":                "Se ha cambiado la contraseña de %s.",
	"NAME\tSTATE\tMESSAGES\tSIZE\tMAILDIR":                "NOMBRE\tESTADO\tMENSAJES\tTAMAÑO\tMAILDIR",
	"enabled":                                             "activo",
	"disabled":                                            "desactivado",
	"the mail of %s cannot be read: %s":                   "no se puede leer el correo de %s: %s",
	"%s can no longer sign in; mail is still taken in.":   "%s ya no puede entrar; su correo se sigue recibiendo.",
	"%s can sign in again.":                               "%s puede entrar otra vez.",
	"The quota of %s has been changed.":                   "Se ha cambiado la cuota de %s.",
	"User %s has been removed.":                           "Se ha eliminado el usuario %s.",
	"The mail stays in %s; remove it if nobody wants it.": "El correo sigue en %s; bórrelo si nadie lo quiere.",
	"Mail for %s now goes to %s.":                         "El correo para %s va ahora a %s.",
	"The alias %s has been changed.":                      "Se ha cambiado el alias %s.",
	"Mail for %s that nobody else gets now goes to %s.":   "El correo para %s que no es de nadie más va ahora a %s.",
	"Mail for %s that nobody gets is now refused.":        "El correo para %s que no es de nadie se rechaza ahora.",

	// Devices.
	"%s has no device %s; restanted device list %s shows those there are":                                      "%s no tiene ningún dispositivo %s; restanted device list %s muestra los que hay",
	"%s has a device %s already; nothing was changed":                                                          "%s ya tiene un dispositivo %s; nada ha cambiado",
	"%s has no devices, and could not collect mail any more; add one first with: restanted device add %s NAME": "%s no tiene dispositivos y ya no podría recoger su correo; añada antes uno con: restanted device add %s NOMBRE",

	"%v. Add a device that starts with all of them (--since all), or repeat the command with --discard": "%v. Añada un dispositivo que empiece con todos (--since all), o repita la orden con --discard",

	"Device %s of %s has been added.":       "Se ha añadido el dispositivo %s de %s.",
	"Device %s of %s has another password.": "El dispositivo %s de %s tiene otra contraseña.",
	"Its password is: %s":                   "Su contraseña es: %s",
	"It is shown only now, and only once.":  "Solo se muestra ahora, una única vez.",
	"Messages waiting for it: %d":           "Mensajes que le esperan: %d",
	"The password of %s itself works on, as one more device: mail stays until that one has removed it too.": "La contraseña propia de %s sigue valiendo, como un dispositivo más: el correo se guarda hasta que también ese lo borre.",
	"Where nobody uses it any more: restanted device main %s refused":                                       "Si ya nadie la usa: restanted device main %s refused",
	"DEVICE\tSTATE\tLAST SIGN-IN\tADDRESS\tWAITING\tSIZE":                                                   "DISPOSITIVO\tESTADO\tÚLTIMA ENTRADA\tDIRECCIÓN\tPENDIENTES\tTAMAÑO",
	"(own password)": "(contraseña propia)",
	"refused":        "rechazada",
	"never":          "nunca",
	"what is waiting for %s cannot be told: %s":                                          "no se puede saber qué espera a %s: %s",
	"Device %s of %s has been removed; its password opens nothing any more.":             "Se ha eliminado el dispositivo %s de %s; su contraseña ya no abre nada.",
	"Messages that only this device had still to remove, and that have gone with it: %d": "Mensajes que solo este dispositivo tenía aún por borrar y que se han ido con él: %d",
	"Device %s of %s is now called %s.":                                                  "El dispositivo %s de %s se llama ahora %s.",
	"Device %s of %s can no longer sign in; its mail waits.":                             "El dispositivo %s de %s ya no puede entrar; su correo espera.",
	"Device %s of %s can sign in again.":                                                 "El dispositivo %s de %s puede entrar otra vez.",
	"Device %s of %s sees again what is there. Messages waiting for it: %d":              "El dispositivo %s de %s vuelve a ver lo que hay. Mensajes que le esperan: %d",
	"The password of %s itself is refused by POP3; its devices collect the mail.":        "POP3 rechaza la contraseña propia de %s; el correo lo recogen sus dispositivos.",
	"The password of %s itself works, as one more device.":                               "La contraseña propia de %s vale, como un dispositivo más.",

	// Delivering.
	"the message was not taken in: %v; it can be delivered again later": "el mensaje no se ha recibido: %v; se puede volver a entregar más tarde",
	"not delivered to %s: %s": "no entregado a %s: %s",

	// The state of the server.
	"no server runs on %s; start one with: restanted serve --data %s":                                   "ningún servidor trabaja en %s; inicie uno con: restanted serve --data %s",
	"restanted %s, process %s, up for %s":                                                               "restanted %s, proceso %s, en marcha desde hace %s",
	"data directory %s, certificate SHA-256 %s":                                                         "directorio de datos %s, certificado SHA-256 %s",
	"%d users; %d connections, %d of them not signed in":                                                "%d usuarios; %d conexiones, %d de ellas sin identificarse",
	"since the start: %d sessions, %d messages retrieved, %d removed, %d connections without a sign-in": "desde el inicio: %d sesiones, %d mensajes recogidos, %d eliminados, %d conexiones sin identificarse",
	"Nobody is signed in.": "No hay nadie conectado.",
	"USER\tADDRESS\tTLS\tMECHANISM\tSINCE\tIDLE\tRETRIEVED\tDELETED": "USUARIO\tDIRECCIÓN\tTLS\tMECANISMO\tDESDE\tINACTIVO\tRECOGIDOS\tBORRADOS",
	"New sessions of %s are now written to the log of the server.":   "Las nuevas sesiones de %s se escriben ahora en el registro del servidor.",
	"New sessions of %s are no longer written to the log.":           "Las nuevas sesiones de %s ya no se escriben en el registro.",

	// Checking the configuration.
	"Nothing is wrong with the configuration.":                             "La configuración es correcta.",
	"%d problems were found":                                               "se han encontrado %d problemas",
	"the certificate cannot be used: %v":                                   "el certificado no se puede usar: %v",
	"everybody on this machine may read the key %s; chmod 600 %s mends it": "todos en esta máquina pueden leer la clave %s; chmod 600 %s lo arregla",
	"%s cannot be read by the server once it runs: a renewed certificate would be found only at a restart": "el servidor en marcha no puede leer %s: un certificado renovado solo se vería al reiniciar",
	"The data directory %s is not there yet; the server makes it.":                                         "El directorio de datos %s aún no existe; el servidor lo crea.",
	"the data directory: %v":                                           "el directorio de datos: %v",
	"the data directory %s is no directory":                            "el directorio de datos %s no es un directorio",
	"others may write to the data directory %s; chmod 700 %s mends it": "otros pueden escribir en el directorio de datos %s; chmod 700 %s lo arregla",
	"%d Maildirs were found under %s.":                                 "Se han encontrado %d Maildir en %s.",
	"the server cannot look into %s: %v":                               "el servidor no puede mirar dentro de %s: %v",
	"the server cannot read and write %s: %v":                          "el servidor no puede leer y escribir %s: %v",
	"%d users.":                    "%d usuarios.",
	"the users cannot be read: %s": "no se pueden leer los usuarios: %s",

	// The demo.
	"the demo delivers by LMTP and collects by POP3S; neither can be off":            "la demostración entrega por LMTP y recoge por POP3S; ninguno puede estar apagado",
	"The demo has ended; nothing of it is left.":                                     "La demostración ha terminado; no queda nada de ella.",
	"restanted is running: mail comes in by LMTP on %s and goes out by POP3S on %s.": "restanted está en marcha: el correo entra por LMTP en %s y sale por POP3S en %s.",
	"Its data is in %s and will be removed at the end.":                              "Sus datos están en %s y se borrarán al final.",
	"%d letters have been delivered by LMTP. Each is safe on the disk.":              "Se han entregado %d cartas por LMTP. Cada una está a salvo en el disco.",
	"Now a mail program collects them by POP3S (C: is the program, S: the server):":  "Ahora un programa de correo las recoge por POP3S (C: es el programa, S: el servidor):",
	"   (%s, certificate checked)":                                                   "   (%s, certificado comprobado)",
	"   ... (%d more lines)":                                                         "   ... (%d líneas más)",
	"   ... and so on: %d more are retrieved without being shown":                    "   ... y así otras %d, que se recogen sin mostrarlas",
	"Every octet of %d letters came back as it was delivered.":                       "Cada octeto de las %d cartas ha vuelto como se entregó.",
	"The letters are still there. Try it with your own mail program:":                "Las cartas siguen ahí. Pruebe con su propio programa de correo:",
	"  type of account  POP3":                                                        "  tipo de cuenta   POP3",
	"  server           localhost, port %s, SSL/TLS":                                 "  servidor         localhost, puerto %s, SSL/TLS",
	"                   or port %s, STARTTLS":                                        "                   o puerto %s, STARTTLS",
	"  user name        %s":                                                          "  usuario          %s",
	"  password         %s":                                                          "  contraseña       %s",
	"  certificate      self-signed, SHA-256 %s":                                     "  certificado      autofirmado, SHA-256 %s",
	"                   in the file %s":                                              "                   en el archivo %s",
	"Or in another terminal:":                                                        "O en otra terminal:",
	"Mail for %s can be delivered by LMTP to %s. Ctrl-C ends the demo.":              "El correo para %s se puede entregar por LMTP en %s. Ctrl-C termina la demostración.",
	"Welcome": "Le damos la bienvenida",
	"Hello!\n\nThis letter came in by LMTP and lay in your maildrop until you called for it.\n\nBea\n": "¡Hola!\n\nEsta carta entró por LMTP y esperó en su buzón hasta que la recogió.\n\nBea\n",
	"Dots, and other traps": "Puntos y otras trampas",
	"A dot at the start of a line is doubled on its way and single again here:\n.\n.hidden\n..two\nNothing of this is lost: \u00e1 \u00f1 \u20ac.\n": "Un punto al principio de una línea se dobla en el camino y aquí vuelve a ser uno:\n.\n.oculto\n..dos\nNada de esto se pierde: \u00e1 \u00f1 \u20ac.\n",
	"No end of the line": "Sin fin de línea",
	"This letter does not end in a line end, so one is added.\n\nGoodbye": "Esta carta no termina en un fin de línea, así que se añade uno.\n\nAdiós",
}
