var ue="pointerdown keydown wheel touchmove input",de="visibilitychange resume focus online";function fe(n,t,c){for(let s of n.split(" "))addEventListener(s,t,{capture:!0,passive:!0,signal:c})}var pe=0,he=0,me=0,v=()=>Date.now(),T=()=>performance.now(),ge=()=>[v()-he,T()-me];function Z(n,t){pe=n,he=t,me=T()-v()+t}var Y=()=>pe+Math.max(...ge())/1e3;function $(){let[n,t]=ge();return Math.abs(n-t)>2e3}var _e=1e4;async function Q(n,t){let c=T(),s={then:0,status:0,wait:0};try{let w=await fetch(n,{method:t&&"POST",headers:{"content-type":"application/json","x-session-client":"1"},body:JSON.stringify(t),cache:"no-store",redirect:"manual",keepalive:!0,signal:AbortSignal.timeout(_e)}),{status:h,type:f}=w;s.status=h,s.wait=Number(w.headers.get("retry-after"))||0;let a=await w.text();if(s.then=v()-(T()-c)/2,(h==200||f=="opaqueredirect")&&(s.answer={state:"login_page",now:0}),h==200||h==401){let m=JSON.parse(a);s.answer=m?.state&&m.now>0?m:void 0}}catch{}return s}var W=n=>({session:n,acted:0,told:0,beat:0});function be(n,t){let c=W(),s;function w(){try{return Object(JSON.parse(localStorage[n]))}catch{return W()}}let h=()=>w().session!=c.session;function f(){return h()||(c=w()),Math.max(c.acted,c.beat)<v()+1e3||(c=W(c.session)),c}function a(l){Object.assign(f(),l);try{localStorage[n]=JSON.stringify(c)}catch{}}function m(){s?.close(),s=void 0}function b(l=c.session){if(l!=c.session&&(c=W(l),m(),a({})),!(!l||s))try{s=new BroadcastChannel(n+l),s.onmessage=u=>t(u.data)}catch{}}return{foreign:h,read:f,write:a,join:b,leave:m,post(l){s?.postMessage(l)},async alone(l){try{let u={ifAvailable:!0};return await navigator.locks.request(n,u,I=>!!I&&l())}catch{return l()}}}}var Ae=1e3,Ne=5,Le=100,je=5,D=class extends EventTarget{constructor(t={}){super();let c=t.base||new URL(".",import.meta.url).href,s=be("session-keeper:"+c,Ce),{read:w,write:h,post:f}=s,a,m=!1,b=1/0,l=1/0,u="unknown",I,z,x=!1,d=0,_=0,A=0,V=-1/0,N=!1,j=!1,y=!1,k,S;this.start=()=>{if(S)return;S=new AbortController;let{signal:e}=S,o=(i,p)=>fe(i,p,e);o(ue,i=>i.isTrusted&&B()),o(de,i=>i.target.tagName||O()),o("pagehide",s.leave),o("pageshow",i=>{s.join(),i.persisted&&C()}),o("storage",()=>s.foreign()&&C()),s.join();let{atLoad:r}=t;r&&Math.abs(r.now-v()/1e3)<30&&G(r,v()),k=setInterval(g,Ae),g()},this.stop=()=>{S?.abort(),S=void 0,clearInterval(k),s.leave()};let M=this.status=()=>({...a,phase:u,left:(u=="absolute"?l:Math.min(b,l))-Y(),offline:x,...z}),C=this.check=()=>{j=!0,A=0,g()};this.extend=()=>{y=!0,h({acted:v()}),C()},this.logout=async()=>{let e=await F("logout",{});return e?(H("ended","signed_out"),f({out:!0})):j=!0,g(),!!e},this.dismiss=()=>{I=u,g()},this.heard=({status:e,redirected:o,url:r})=>{let i=e==401||o&&r.includes(t.loginUrl||`
`);return i&&C(),i};let K=()=>t.path||location.pathname;function B(){T()-V<1e3||u=="idle"||(V=T(),h({acted:v()}),g())}function O(){let e=u=="active"||u=="none",o=a&&Y()-a.now<(e?a.heartbeat_interval:2);x||!o&&document.visibilityState=="visible"?C():g()}function g(){if(!S)return;let e=te();ne(),e&&!N&&T()>=A&&Me()}function ee(e){return[b<l-1?b-e.warning_lead:1/0,l-e.absolute_warning_lead,Math.min(b,l)]}function te(){if(y)return"heartbeat";if(!a||j)return"status";if(!m)return"";if($())return"status";let{acted:e,told:o,beat:r}=w(),i=a.now,p=Y(),E=ee(a);if(E.some(R=>i<R&&R<=p))return e>o&&p<E[2]?"heartbeat":"status";let L=v()-r>=1e3*a.heartbeat_interval&&p>=i+(a.next_heartbeat||0);return e>o&&L&&"heartbeat"}async function Me(){N=!0;let e=y||j||!a||_>=je,o=async()=>{let r=te();return r&&await Ee(r=="heartbeat"),e||await new Promise(i=>setTimeout(i,Le)),!0};await(e?o():s.alone(o))||(_++,A=T()+1e3),N=!1,g()}async function Ee(e){let{acted:o}=w(),r=y,i=K(),p=await(e?F("heartbeat",{idle:Math.max(0,v()-o)/1e3,path:i}):F("status?path="+encodeURIComponent(i)));if(!p)return;let{answer:E,then:L}=p;j=!1,e&&h({beat:v(),told:o}),G(E,L,!0),f({answer:E,then:L,path:i}),r&&oe()=="idle"?A=T()+1e3*(E.next_heartbeat||5):r&&(y=!1),ne()}async function F(e,o){let r=await Q(c+e,o);if(S)return r.answer?(A=0,x&&(x=!1,U("online")),r):Te(r)}function Te({status:e,wait:o}){d=x?d+1:0;let r=Math.min(b,l)-Y(),i=r>0?Math.max(1,r/4):60,p=Math.max(Math.min(o,300),Math.min(2**d,i,60));A=T()+p*1e3*(1+Math.random()/4),x||(x=!0,U("offline",{status:e}))}function G(e,o,r){let i=a,p=m,E=Math.min(b,l)-Y(),{state:L,session:R,signed_in:ie}=e;_=0,e.now&&Z(e.now,o),a={...i,...e,now:Y()};let ae=!R||L=="ended";if(ae||!(ie||t.anonymous)){let P=ae?L:"replaced",le=e.reason||"gone";return r&&p&&E>Ne&&le!="signed_out"&&!w().lost&&(h({lost:!0}),Q(c+"lost",{state:P,believed_left:Math.min(E,1e9)})),H(P,le)}let re=P=>Y()+Math.max(1,P??1/0),ce=re(e.idle_left),Ie=ce>b+1,X=R==i?.session;m=!0,z=void 0,b=ce,l=re(e.absolute_left),X||(f({}),s.join(R)),p&&!X&&U("changed"),i&&ie&&!(p&&i.signed_in)&&U("signed-in"),p&&X&&Ie&&U("extended")}function H(e,o){m&&(z={state:e,reason:o}),m=y=!1}function Ce({answer:e,then:o,path:r,out:i}){if(i)H("ended","signed_out");else if(e)if(!e.session||r==K())G(e,o);else if(u=="active")Z(e.now,o);else return C();else return C();g()}function ne(){let e=u;u=oe(),u!=e&&(u=="idle"||u=="absolute"?U("warning"):u!="none"&&u!="active"&&U(u)),se.dispatchEvent(new Event("change"))}function oe(){if(z)return"ended";if(!a)return"unknown";if(!m)return"none";let e=a.now,o=Y(),[r,i,p]=ee(a);if(!x&&($()||o>=p))return u;if(o>=p)return"unverified";let E=R=>o>=R&&(x||e>=R);if(E(r))return"idle";let L=E(i)?"absolute":a.state=="stale"?"stale":"active";return L==I?"active":(I=void 0,L)}let se=this;function U(e,o){let r={detail:{...M(),...o},bubbles:!0};(t.target||se).dispatchEvent(new CustomEvent("session-"+e,r))}}};var ve=`:host{color-scheme:light dark}
dialog{width:min(30em,90vw);box-sizing:border-box;padding:1.5em;border-radius:.5em;background:var(--session-background,Canvas);color:var(--session-color,CanvasText);font:var(--session-font,1rem/1.5 system-ui)}
::backdrop{background:var(--session-backdrop,#0008)}
[part~=ended]::backdrop,[part~=unverified]::backdrop{background:var(--session-cover,Canvas)}
h2{margin:0}
:empty{display:none}
#countdown{font-size:2em;margin:0}
#spoken{position:absolute;clip-path:inset(50%)}
button,a{display:inline-block;padding:.6em 1em;margin:.5em .5em 0 0;border:1px solid;border-radius:.5em;background:none;color:inherit;font:inherit}
#stay,#stale{background:var(--session-accent,#1d4ed8);color:var(--session-accent-color,#fff)}`;var Oe="title ended unverified stale idle absolute limit revoked kept stay out close".split(" "),we={en:`You will be signed out soon
You have been signed out
No connection to the server. Trying again…
Sign in again
You have not been active for a while.
The time of one visit cannot be extended.
You signed in on another device.
Your session was ended elsewhere.
Your input is kept. Sign in in a new tab.
Stay signed in
Sign out
Close`,de:`Sie werden bald abgemeldet
Sie wurden abgemeldet
Keine Verbindung zum Server. Neuer Versuch…
Erneut anmelden
Sie waren eine Weile nicht aktiv.
Die Zeit eines Besuchs lässt sich nicht verlängern.
Sie haben sich auf einem anderen Gerät angemeldet.
Ihre Sitzung wurde anderswo beendet.
Ihre Eingaben bleiben. Melden Sie sich in einem neuen Tab an.
Angemeldet bleiben
Abmelden
Schließen`,fr:`Vous serez bientôt déconnecté
Vous avez été déconnecté
Serveur injoignable. Nouvel essai…
Se reconnecter
Vous êtes inactif depuis un moment.
La durée d’une visite ne peut être prolongée.
Vous vous êtes connecté sur un autre appareil.
Votre session a été fermée ailleurs.
Votre saisie est conservée. Connectez-vous dans un nouvel onglet.
Rester connecté
Se déconnecter
Fermer`,es:`Su sesión se cerrará pronto
Su sesión se ha cerrado
Sin conexión con el servidor. Reintentando…
Iniciar sesión de nuevo
No ha habido actividad durante un rato.
El tiempo de una visita no se puede ampliar.
Ha iniciado sesión en otro dispositivo.
Su sesión se cerró desde otro lugar.
Se conserva lo escrito. Inicie sesión en otra pestaña.
Seguir conectado
Cerrar sesión
Cerrar`,zh:`您即将退出登录
您已退出登录
无法连接服务器，正在重试…
重新登录
您已有一段时间没有操作。
单次访问时间无法延长。
您在另一台设备上登录了。
您的会话已在别处结束。
您的输入已保留。请在新标签页登录。
保持登录
退出登录
关闭`,ar:`سيتم تسجيل خروجك قريبًا
تم تسجيل خروجك
لا يمكن الاتصال بالخادم. تُعاد المحاولة…
تسجيل الدخول مجددًا
لم يكن هناك نشاط منذ فترة.
لا يمكن تمديد وقت الزيارة.
تم تسجيل دخولك على جهاز آخر.
تم إنهاء جلستك من مكان آخر.
تم حفظ مدخلاتك. سجّل الدخول في علامة تبويب جديدة.
البقاء مسجّلًا
تسجيل الخروج
إغلاق`},xe=n=>n.toLowerCase().split("-")[0],ye=(...n)=>n.find(t=>we[xe(t)])||"en",ke=(n,t)=>we[xe(t)].split(`
`)[Oe.indexOf(n)]||"";function Se(n,t){let c=n>60?"minute":"second";return(n>60?Math.ceil(n/60):Math.ceil(n/20)*20).toLocaleString(t,{style:"unit",unit:c,unitDisplay:"long"})}var Re=[["h2","title","tabindex","-1"],["p","text"],["p","kept"],["p","countdown","aria-hidden","true"],["p","spoken","aria-live","polite"],["p","problem","role","status"],["button","stay"],["a","stale","target","_blank"],["button","close"],["button","out"]],q=class extends HTMLElement{keeper;connectedCallback(){this.keeper=Ye(this)}disconnectedCallback(){this.keeper?.stop(),this.shadowRoot?.replaceChildren()}};function J(n,t){for(let c in t)n.setAttribute(c,t[c])}function Ye(n){let t=d=>n.getAttribute(d),c=t("base"),s=new D({base:c&&new URL(c,location.href).href,path:t("path"),loginUrl:t("login-url"),anonymous:n.hasAttribute("anonymous"),atLoad:JSON.parse(t("at-load")||"null"),target:n}),w=n.shadowRoot||n.attachShadow({mode:"open"}),h=new CSSStyleSheet;h.replaceSync(ve),w.adoptedStyleSheets=[h];let f=document.createElement("dialog");w.append(f),J(f,{role:"alertdialog","aria-labelledby":"title","aria-describedby":"text kept spoken"});let a={};for(let[d,_,A="id",V=_]of Re){let N=a[_]=document.createElement(d);J(N,{id:_,part:d+" "+_,[A]:V}),f.append(N)}let{title:m,stay:b,close:l}=a;b.onclick=s.extend,l.onclick=s.dismiss,a.out.onclick=s.logout;let u="",I=!1,z=()=>(b.textContent?b:l).click();f.oncancel=d=>{d.preventDefault(),z()},f.onclose=()=>{I&&(z(),x())};function x(){let{phase:d,reason:_,offline:A,left:V}=s.status(),N=d=="idle",j=d=="stale",y=d=="ended",k=N||d=="absolute";if(y&&u!=d){let O=t("on-end");O=="reload"&&location.reload(),O=="redirect"&&location.assign(t("end-url")||t("login-url")||"/")}if(u=d,I=k||j||y||d=="unverified",!I)return f.close();let S=ye(n.lang,document.documentElement.lang,navigator.language),M=(O,g)=>O?t("data-text-"+g)??ke(g||"",S):"",C=Math.max(0,Math.ceil(V)),K=Math.floor(C/60)+":"+`${C%60}`.padStart(2,"0"),B={title:M(I,k?"title":d),text:M(k,d)+M(y,_),kept:M(y,"kept"),countdown:k?K:"",spoken:k?M(k,"title")+": "+Se(C,S):"",problem:M(A&&k,"unverified"),stay:M(N,"stay"),stale:M(j||y,"stale"),close:M(j||k&&!N,"close"),out:M(k,"out")};for(let[O,g]of Object.entries(B))a[O].textContent!=g&&(a[O].textContent=g);J(f,{lang:S,dir:S.startsWith("ar")?"rtl":"ltr",part:"dialog "+d}),J(a.stale,{href:t("login-url")||location.href}),!f.open&&(f.showModal(),m.focus())}return s.addEventListener("change",x),s.start(),s}customElements.get("session-keeper")||customElements.define("session-keeper",q);export{D as SessionKeeper,q as SessionKeeperElement};
