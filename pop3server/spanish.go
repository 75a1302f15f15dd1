// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server

// spanish has the texts of the replies in Spanish, by the English ones. They go
// out without accents to a client that has not said UTF8; a first line has 512
// octets at most in every language. RFC 6856 section 3.
var spanish = map[text]string{
	"":    "",
	"bye": "adiós",

	// Beginning and sign-in.
	"POP3 server ready":  "servidor POP3 listo",
	"capabilities":       "capacidades",
	"mechanisms follow":  "siguen los mecanismos",
	"begin TLS":          "empiece TLS",
	"send PASS":          "envíe PASS",
	"UTF-8 from here on": "UTF-8 desde ahora",
	"languages follow":   "siguen los idiomas",
	"language chosen":    "idioma elegido",

	"wrong name or password":                                            "nombre o contraseña incorrectos",
	"signing in is not possible now; try again later":                   "ahora no es posible entrar; inténtelo más tarde",
	"another session has this maildrop open":                            "otra sesión tiene abierto este buzón",
	"there are too many sessions of this user":                          "hay demasiadas sesiones de este usuario",
	"the last sign-in was too recent":                                   "la última entrada es demasiado reciente",
	"the maildrop cannot be opened":                                     "no se puede abrir el buzón",
	"channel binding does not match: the connection may be intercepted": "el enlace de canal no coincide: puede que alguien intercepte la conexión",
	needsAUTH: "así no se entra aquí: use AUTH",
	needsTLS:  "la contraseña solo se acepta bajo TLS: use STLS, o el puerto para TLS",

	// Commands that are wrong.
	"the line is too long":                                        "la línea es demasiado larga",
	"that is no command":                                          "eso no es una orden",
	"there is no such command":                                    "esa orden no existe",
	"sign in first":                                               "entre primero",
	"send USER first":                                             "envíe USER primero",
	"you are signed in already":                                   "ya ha entrado",
	"%s takes no argument":                                        "%s no lleva argumento",
	"%s takes the number of a message":                            "%s lleva el número de un mensaje",
	"%s takes one number at most":                                 "%s lleva como mucho un número",
	"TOP takes the number of a message and of lines":              "TOP lleva el número de un mensaje y el de líneas",
	"a message number is a decimal number from 1 on":              "el número de un mensaje es decimal, desde 1",
	"a number of lines is a decimal number":                       "el número de líneas es decimal",
	"APOP takes a name and a digest":                              "APOP lleva un nombre y un resumen",
	"USER takes a name":                                           "USER lleva un nombre",
	"STLS is not possible here":                                   "STLS no es posible aquí",
	"STLS comes before UTF8":                                      "STLS va antes de UTF8",
	"AUTH takes a mechanism and an initial response":              "AUTH lleva un mecanismo y una respuesta inicial",
	"that mechanism is not offered":                               "ese mecanismo no se ofrece",
	"that is not base64":                                          "eso no es base64",
	"the response is malformed":                                   "la respuesta está mal formada",
	"the exchange is over":                                        "el intercambio ha terminado",
	"cancelled":                                                   "cancelado",
	"LANG takes one language at most":                             "LANG lleva como mucho un idioma",
	"that is no language tag, such as en or es":                   "eso no es una etiqueta de idioma, como en o es",
	"that language is not spoken here; LANG lists those that are": "ese idioma no se habla aquí; LANG muestra los que sí",

	// Messages. The numbers stand before these words.
	" messages (":                   " mensajes (",
	" octets)":                      " octetos)",
	" octets":                       " octetos",
	"unique ids follow":             "siguen los identificadores únicos",
	"top of the message follows":    "sigue el principio del mensaje",
	"marked deleted":                "marcado como borrado",
	"there is no such message":      "ese mensaje no existe",
	"the message is marked deleted": "el mensaje está marcado como borrado",
	"the message cannot be read":    "no se puede leer el mensaje",
	"the message could not be read and is not deleted":        "no se pudo leer el mensaje y no se borra",
	"the message needs UTF8, which is said before signing in": "el mensaje necesita UTF8, que se dice antes de entrar",
	"%d of %d deleted messages were not removed":              "%d de %d mensajes borrados no se eliminaron",

	// Endings.
	"this is a POP3 server":                                          "este es un servidor POP3",
	"too many commands that are wrong":                               "demasiadas órdenes equivocadas",
	"nothing may follow STLS before TLS has begun":                   "nada puede seguir a STLS antes de que empiece TLS",
	"too many connections; try again later":                          "demasiadas conexiones; inténtelo más tarde",
	"no command came for too long; nothing was deleted":              "no llegó ninguna orden en demasiado tiempo; no se borró nada",
	"signing in took too long":                                       "la entrada tardó demasiado",
	"the line took too long; nothing was deleted":                    "la línea tardó demasiado; no se borró nada",
	"another session has taken over; nothing was deleted":            "otra sesión ha tomado el buzón; no se borró nada",
	"the session was ended; nothing was deleted":                     "la sesión fue terminada; no se borró nada",
	"the server is going down; nothing was deleted, try again later": "el servidor se detiene; no se borró nada, inténtelo más tarde",
}
