package globussim

import (
	"net/http"
	"slices"

	"github.com/google/uuid"
)

// onServer reports whether a server's administrators run the collection, so that
// no person owns it.
func (p *collection) onServer() bool {
	return p.EntityType == MappedCollection || p.EntityType == ServerEndpoint
}

// ownerOf returns the id and the username of the owner in a collection's document. The owner
// of a mapped collection is the server that hosts it, and a server owns itself.
func (sv *service) ownerOf(p *collection) (id, username string) {
	switch {
	case p.EntityType == ServerEndpoint:
		id = p.ID
	case p.onServer():
		id = sv.serverOf(p)
	default:
		if who, ok := sv.server.auth.identityByID(p.Owner); ok {
			return who.ID, who.Username
		}
		return p.Owner, p.Owner + "@sim.invalid"
	}
	return id, id + "@" + clientDomain
}

// serverOf returns the id of the server that hosts a mapped collection: the
// first of the configuration, or one of its own that nothing else is known of.
func (sv *service) serverOf(p *collection) string {
	i := slices.IndexFunc(sv.collections, func(p *collection) bool { return p.EntityType == ServerEndpoint })
	if i >= 0 {
		return sv.collections[i].ID
	}
	return uuid.NewSHA1(collectionSpace, []byte("server "+p.ID)).String()
}

// servers are the documents of the machines behind a collection. A guest
// collection of a server names none.
func servers(p *collection) []map[string]any {
	if p.EntityType == GuestCollection {
		return []map[string]any{}
	}
	id := uuid.MustParse(p.ID)
	doc := map[string]any{
		"DATA_TYPE": "server", "id": int(id[0])<<16 | int(id[1])<<8 | int(id[2]),
		"hostname": nil, "port": nil, "scheme": nil, "uri": nil, "subject": nil,
		"is_connected": true, "is_paused": false,
		"incoming_data_port_start": nil, "incoming_data_port_end": nil,
		"outgoing_data_port_start": nil, "outgoing_data_port_end": nil,
	}
	if p.gcp() {
		offline := p.condition().Offline
		doc["is_connected"], doc["is_paused"] = !offline || p.Paused, offline && p.Paused
		return []map[string]any{doc}
	}
	host := p.ID + ".sim.invalid"
	doc["hostname"], doc["port"], doc["scheme"], doc["uri"] = host, 2811, "gsiftp", "gsiftp://"+host+":2811"
	return []map[string]any{doc}
}

// serverList answers GET /endpoint/<id>/server_list.
func (sv *service) serverList(q *request) (int, any, *apiError) {
	p, e := sv.find(q.PathValue("id"))
	if e != nil {
		return 0, nil, e
	}
	return http.StatusOK, map[string]any{"DATA_TYPE": "endpoint_server_list", "DATA": servers(p), "endpoint": p.ID}, nil
}

// getServer answers GET /endpoint/<id>/server/<server>.
func (sv *service) getServer(q *request) (int, any, *apiError) {
	p, e := sv.find(q.PathValue("id"))
	if e != nil {
		return 0, nil, e
	}
	return q.row(servers(p), "server", "ClientError.NotFound.ServerNotFound")
}
