package dropfile

import "strings"

// otherNames are headers that stand for no field of a lead, but that tell a
// header from a contact.
var otherNames = strings.Fields(`name fullname contact company companyname organization organisation business
	county region web website url homepage date time datetime created createdat createdtime updated status
	type source campaign campaignid adid adname adsetid adsetname formid formname platform list leaddate
	fax latitude longitude timezone language price amount quantity qty product productid description
	productdescription producttype number no nr age income score value currency ip ipaddress job jobtitle
	position industry category tags consent optin number rowid row key code
	vorname nachname strasse plz ort stadt telefon handy geburtsdatum bemerkung firma anrede land kunde
	nombre apellido apellidos direccion dirección ciudad provincia codigopostal telefono teléfono movil móvil correo fecha empresa
	prénom prenom nom adresse ville codepostal téléphone telephone portable courriel datedenaissance société
	sobrenome endereço endereco cidade estado cep telefone celular empresa datadenascimento`)

// known is what knownName looks up.
var known = func() map[string]bool {
	names := map[string]bool{}
	for _, list := range usual {
		for _, n := range list {
			names[n] = true
		}
	}
	for _, list := range [][]string{ownPhoneNames, mainPhones, otherPhones, altPhones, otherNames} {
		for _, n := range list {
			names[n] = true
		}
	}
	return names
}()

// knownName tells a header that many vendors use.
func knownName(header string) bool {
	if len(header) > 40 {
		return false
	}
	name := plain(header)
	return known[name] || known[strings.TrimRight(name, "0123456789")]
}

// knownNames counts a record's cells that are usual headers.
func knownNames(cells []string) int {
	n := 0
	for _, c := range cells {
		if knownName(c) {
			n++
		}
	}
	return n
}
